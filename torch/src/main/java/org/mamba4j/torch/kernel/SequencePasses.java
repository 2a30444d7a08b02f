package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.kernel.SequenceKernels;

/**
 * The two passes of one scan or convolution, apart and without a graph, over memory that is allocated once (but for
 * workspaces): what benchmarks time and compare. The results belong to the caller's scope around the factory method, and the next
 * pass overwrites them.
 */
public interface SequencePasses {
    /** Computes y (B, L, D) and keeps what {@link #backward} starts from. */
    Tensor forward();

    /**
     * Computes the gradients of all inputs, in the order in which their record has them; absent where an input is. To be called after
     * {@link #forward}.
     *
     * @param gradY (B, L, D) of y's type, with contiguous rows
     */
    List<Tensor> backward(Tensor gradY);

    /** On the GPU that the inputs are on; they have contiguous rows. */
    static SequencePasses cuda(ScanInputs in) {
        return new ScanPasses.OnGpu(in);
    }

    /** On the GPU that the inputs are on; they have contiguous rows, and there is no initial state. */
    static SequencePasses cuda(ConvInputs in) {
        return new ConvPasses.OnGpu(in);
    }

    /**
     * The plain CUDA kernels: one thread per channel, one step after another, in double. They keep B L D N doubles.
     *
     * @param in float32, on a GPU
     */
    static SequencePasses plainCuda(ScanInputs in) {
        return new ScanPasses.Plain(in);
    }

    /**
     * Out of libtorch's operations and gradients.
     *
     * @param in float32, with a bias and without an initial state, on any device
     */
    static SequencePasses composed(ConvInputs in) {
        return new ConvPasses.Composed(in);
    }

    /** On core's kernels: float32 on the CPU, with contiguous rows. */
    static SequencePasses cpu(SequenceKernels kernels, ScanInputs in) {
        return new ScanPasses.OnCpu(kernels, in);
    }

    /** On core's kernels: float32 on the CPU, with contiguous rows. */
    static SequencePasses cpu(SequenceKernels kernels, ConvInputs in) {
        return new ConvPasses.OnCpu(kernels, in);
    }
}
