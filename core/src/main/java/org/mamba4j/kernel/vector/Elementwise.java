package org.mamba4j.kernel.vector;

import org.mamba4j.kernel.Activation;
import org.mamba4j.kernel.Rows;

/** Functions of single elements, a row at a time, through scratch that ends where a vector does. */
final class Elementwise {
    private Elementwise() {}

    static void activate(Activation function, Rows x) {
        StepFrame.Loop[] loops = switch (function) {
            case SILU -> StepFrame.SILU;
            case SIGMOID -> StepFrame.SIGMOID;
            case TANH -> StepFrame.TANH;
        };
        int columns = x.channels();
        long vectors = Lanes.blocks(columns);
        Scratch scratch = Scratch.ofThread(2 * vectors);
        StepFrame f = StepFrame.ofThread();
        f.count = columns;
        f.x = scratch.take(vectors);
        f.power = scratch.take(vectors);
        for (int t = 0; t < x.length(); t++) {
            long row = ScanLayout.address(x, 0, t, 0);
            Lanes.copy(row, f.x, 4L * columns);
            f.run(loops);
            Lanes.copy(f.x, row, 4L * columns);
        }
    }
}
