package org.mamba4j.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.IntConsumer;
import org.mamba4j.kernel.Activation;
import org.mamba4j.kernel.DenseChecks;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.Workers;

/** {@link DenseKernels} on vectors and several threads. */
public final class VectorDense implements DenseKernels {
    /** Rows per task of a norm: some ten microseconds of work. */
    private static final int NORM_ROWS = 32;

    private final Workers workers;
    private final ThreadLocal<Product> products = ThreadLocal.withInitial(Product::new);
    private final ThreadLocal<Norm> norms = ThreadLocal.withInitial(Norm::new);
    private final ThreadLocal<Attention> attentions = ThreadLocal.withInitial(Attention::new);

    /** @param workers the threads to use */
    public VectorDense(Workers workers) {
        this.workers = workers;
    }

    @Override
    public String name() {
        return "vector " + Lanes.FLOATS.vectorBitSize() + " bits";
    }

    @Override
    public void multiply(Matrix weight, Rows x, MemorySegment bias, Rows y) {
        DenseChecks.multiply(weight, x, bias, y);
        if (x.length() > 0 && weight.rows() > 0) {
            Product product = products.get();
            product.prepare(weight, x, bias, y, workers.parallelism());
            workers.run(product.tasks(), product);
        }
    }

    @Override
    public void addNorm(Rows x, Rows added, MemorySegment weight, float epsilon, Rows y) {
        DenseChecks.addNorm(x, added, weight, y);
        if (x.length() == 0 || x.channels() == 0) {
            return;
        }
        Norm norm = norms.get();
        norm.x = ScanLayout.address(x, 0, 0, 0);
        norm.xStride = ScanLayout.stride(x);
        norm.added = added.isPresent() ? ScanLayout.address(added, 0, 0, 0) : 0;
        norm.addedStride = ScanLayout.stride(added);
        norm.weight = weight.address();
        norm.y = ScanLayout.address(y, 0, 0, 0);
        norm.yStride = ScanLayout.stride(y);
        norm.epsilon = epsilon;
        norm.columns = x.channels();
        norm.length = x.length();
        workers.run(Math.ceilDiv(x.length(), NORM_ROWS), norm);
    }

    @Override
    public void activate(Activation function, Rows x) {
        DenseChecks.activate(x);
        if (x.length() > 0 && x.channels() > 0) {
            Elementwise.activate(function, x);
        }
    }

    @Override
    public void attend(Rows q, List<NoteTable> tables, float scale, float nothing, Rows read, Rows missed) {
        DenseChecks.attend(q, tables, read, missed);
        if (q.length() > 0) {
            Attention attention = attentions.get();
            attention.prepare(q, tables, scale, nothing, read, missed);
            workers.run(attention.tasks(), attention);
        }
    }

    /** The norm of {@link #NORM_ROWS} rows is a task. */
    private static final class Norm implements IntConsumer {
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

        @Override
        public void accept(int task) {
            int end = Math.min(length, (task + 1) * NORM_ROWS);
            for (int t = task * NORM_ROWS; t < end; t++) {
                long row = x + t * xStride;
                if (added != 0) {
                    DenseLoops.add(row, added + t * addedStride, columns);
                }
                double squares = DenseLoops.squares(row, columns);
                float scale = (float) (1 / Math.sqrt(squares / columns + epsilon));
                DenseLoops.scale(row, scale, weight, columns, y + t * yStride);
            }
        }
    }
}
