package org.mamba4j.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.util.function.IntConsumer;
import org.mamba4j.kernel.Rows;

/** Residual streams and their norms; that of some rows is a task. */
final class Norm implements IntConsumer {
    /** Rows per task: some ten microseconds of work. */
    private static final int ROWS = 32;

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
        for (int t = task * ROWS; t < end; t++) {
            long from = added == 0 ? 0 : added + t * addedStride;
            if (cold) {
                ScalarLoops.norm(x + t * xStride, from, weight, epsilon, columns, y + t * yStride);
            } else {
                vectors(x + t * xStride, from, weight, epsilon, columns, y + t * yStride);
            }
        }
    }

    /** One row; {@code added} is 0 if there is nothing to add. */
    static void vectors(long x, long added, long weight, float epsilon, int columns, long y) {
        if (added != 0) {
            DenseLoops.add(x, added, columns);
        }
        double squares = DenseLoops.squares(x, columns);
        float scale = (float) (1 / Math.sqrt(squares / columns + epsilon));
        DenseLoops.scale(x, scale, weight, columns, y);
    }
}
