package org.mamba4j.kernel.vector;

import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.ConvGradients;
import org.mamba4j.kernel.Runs;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.ScanGradients;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.kernel.Workers;

/** {@link SequenceKernels} on vectors and several threads. */
public final class VectorKernels implements SequenceKernels {
    /** For work that would be done before another thread is awake. */
    private static final Workers CALLER = new Workers(1);

    private final Workers workers;

    /** @param workers the threads to use */
    public VectorKernels(Workers workers) {
        this.workers = workers;
    }

    @Override
    public String name() {
        return "vector " + Lanes.FLOATS.vectorBitSize() + " bits";
    }

    @Override
    public long scanCheckpointBytes(int batch, int length, int channels, int states) {
        return new ScanLayout(batch, length, channels, states).checkpointBytes();
    }

    @Override
    public void scanForward(ScanArguments arguments) {
        Runs.checkForward(this, arguments);
        if (ScanStep.fits(arguments)) {
            ScanStep step = ScanStep.of(arguments);
            workers.run(step.tasks(), step);
            return;
        }
        ScanLayout layout = ScanLayout.of(arguments);
        (layout.isSmall() ? CALLER : workers).run(layout.tasks(), new ScanForward(arguments, layout)::run);
    }

    @Override
    public void scanBackward(ScanArguments arguments, ScanGradients gradients) {
        Runs.checkBackward(this, arguments, gradients);
        ScanLayout layout = ScanLayout.of(arguments);
        ScanBackward.run(arguments, gradients, layout, layout.isSmall() ? CALLER : workers);
    }

    @Override
    public void convForward(ConvArguments arguments) {
        Runs.checkForward(arguments);
        if (ConvStep.fits(arguments)) {
            ConvStep step = ConvStep.of(arguments);
            workers.run(step.tasks(), step);
            return;
        }
        ConvLayout layout = ConvLayout.of(arguments);
        (layout.isSmall() ? CALLER : workers).run(layout.tasks(), new ConvForward(arguments, layout)::run);
    }

    @Override
    public void convBackward(ConvArguments arguments, ConvGradients gradients) {
        Runs.checkBackward(arguments, gradients);
        ConvLayout layout = ConvLayout.of(arguments);
        ConvBackward.run(arguments, gradients, layout, layout.isSmall() ? CALLER : workers);
    }
}
