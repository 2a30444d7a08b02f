package org.mamba4j.kernel;

import static org.mamba4j.kernel.Check.present;

/** What can only be checked when a kernel is run: that its outputs are there, and checkpoints of its own size. */
public final class Runs {
    /** Made once: a kernel's call makes no objects. */
    private static final Check SCAN = new Check(ScanArguments.OPERATION);

    private static final Check CONV = new Check(ConvArguments.OPERATION);

    private Runs() {}

    /** @throws IllegalArgumentException if y is absent or the checkpoints have the wrong size */
    public static void checkForward(SequenceKernels kernels, ScanArguments arguments) {
        SCAN.require(arguments.y().isPresent() || arguments.u().isEmpty(), "y is absent");
        if (present(arguments.checkpoints())) {
            SCAN.writableDense("checkpoints", arguments.checkpoints(), checkpointFloats(kernels, arguments));
        }
    }

    /** @throws IllegalArgumentException if the gradients do not fit the arguments or the checkpoints are not given */
    public static void checkBackward(SequenceKernels kernels, ScanArguments arguments, ScanGradients gradients) {
        gradients.validate(arguments);
        new Check(ScanArguments.OPERATION + " backward")
                .dense("checkpoints", arguments.checkpoints(), checkpointFloats(kernels, arguments));
    }

    /** @throws IllegalArgumentException if y is absent */
    public static void checkForward(ConvArguments arguments) {
        CONV.require(arguments.y().isPresent() || arguments.x().isEmpty(), "y is absent");
    }

    /** @throws IllegalArgumentException if the gradients do not fit the arguments */
    public static void checkBackward(ConvArguments arguments, ConvGradients gradients) {
        gradients.validate(arguments);
    }

    private static long checkpointFloats(SequenceKernels kernels, ScanArguments arguments) {
        return kernels.scanCheckpointBytes(
                        arguments.batch(), arguments.length(), arguments.channels(), arguments.states())
                / Float.BYTES;
    }
}
