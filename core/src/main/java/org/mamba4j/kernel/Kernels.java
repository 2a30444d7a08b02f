package org.mamba4j.kernel;

/** Chooses, once, the fastest {@link SequenceKernels} that this JVM can run. */
public final class Kernels {
    private static final SequenceKernels BEST = new PlainKernels();

    private Kernels() {}

    /** The kernels for this machine; always the same object. */
    public static SequenceKernels best() {
        return BEST;
    }
}
