package org.mamba4j.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.util.function.IntConsumer;
import org.mamba4j.kernel.Rows;

/** Residual streams and their norms; that of some rows is a task. */
final class Norm implements IntConsumer {
    /** Rows per task: some ten microseconds of work. */
    private static final int ROWS = 32;

    /** y = norm(x += input) · a, of count numbers; input is 0 if there is nothing to add. */
    static final StepFrame.Loop[] VECTORS = {Norm::vectors};

    private long x;
    private long xStride;
    private long added;
    private long addedStride;
    private long weight;
    private long y;
    private long yStride;
    private float epsilon;
    private int columns;
    private int length;

    /** Takes arguments that were checked and are not empty. */
    void prepare(Rows stream, Rows addition, MemorySegment factors, float smallest, Rows to) {
        x = ScanLayout.address(stream, 0, 0, 0);
        xStride = ScanLayout.stride(stream);
        added = addition.isPresent() ? ScanLayout.address(addition, 0, 0, 0) : 0;
        addedStride = ScanLayout.stride(addition);
        weight = factors.address();
        y = ScanLayout.address(to, 0, 0, 0);
        yStride = ScanLayout.stride(to);
        epsilon = smallest;
        columns = stream.channels();
        length = stream.length();
    }

    int tasks() {
        return Math.ceilDiv(length, ROWS);
    }

    @Override
    public void accept(int task) {
        int end = Math.min(length, (task + 1) * ROWS);
        boolean cold = WarmUp.STEP.isCold();
        StepFrame f = StepFrame.ofThread();
        f.count = columns;
        f.a = weight;
        f.epsilon = epsilon;
        for (int t = task * ROWS; t < end; t++) {
            f.x = x + t * xStride;
            f.input = added == 0 ? 0 : added + t * addedStride;
            f.y = y + t * yStride;
            if (cold) {
                ScalarLoops.norm(f.x, f.input, weight, epsilon, columns, f.y);
            } else {
                f.run(VECTORS);
            }
        }
    }

    /** One row. */
    private static void vectors(StepFrame f) {
        if (f.input != 0) {
            DenseLoops.add(f.x, f.input, f.count);
        }
        double squares = DenseLoops.squares(f.x, f.count);
        float scale = (float) (1 / Math.sqrt(squares / f.count + f.epsilon));
        DenseLoops.scale(f.x, scale, f.a, f.count, f.y);
    }
}
