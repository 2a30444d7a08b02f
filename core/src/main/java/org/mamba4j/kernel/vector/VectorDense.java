package org.mamba4j.kernel.vector;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.mamba4j.kernel.Activation;
import org.mamba4j.kernel.DenseChecks;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.Workers;

/** {@link DenseKernels} on vectors and several threads. */
public final class VectorDense implements DenseKernels {
    private final Workers workers;
    private final ThreadLocal<Product> products = ThreadLocal.withInitial(Product::new);
    private final ThreadLocal<Norm> norms = ThreadLocal.withInitial(Norm::new);
    private final ThreadLocal<Attention> attentions = ThreadLocal.withInitial(Attention::new);

    /** @param workers the threads to use */
    public VectorDense(Workers workers) {
        this.workers = workers;
    }

    /**
     * The same for a program that has just started: until the vector loops are compiled, which a thread of its own sees to,
     * scalar loops do their work, with the same results. This goes for all kernels of this package, on whatever workers.
     */
    public static VectorDense starting(Workers workers) {
        WarmUp.begin();
        return new VectorDense(workers);
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
        norm.prepare(x, added, weight, epsilon, y);
        workers.run(norm.tasks(), norm);
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
}
