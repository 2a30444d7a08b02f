package org.mamba4j.torch.kernel;

import org.mamba4j.kernel.Kernels;
import org.mamba4j.kernel.SequenceKernels;

/**
 * One way to run the operations of a Mamba layer that are no matrix products.
 *
 * @param name for logs
 */
public record MambaKernels(String name, SelectiveScan scan, CausalConv conv) {
    /** On core's kernels: fast, and without any (B, L, D, N) tensor. CPU only. */
    public static MambaKernels fused() {
        return fused(Kernels.best());
    }

    /** The same on so many threads, at least 1. */
    public static MambaKernels fused(int threads) {
        return fused(Kernels.best(threads));
    }

    private static MambaKernels fused(SequenceKernels kernels) {
        return new MambaKernels("fused, " + kernels.name(), new FusedScan(kernels), new FusedConv(kernels));
    }

    /** On CUDA kernels of our own, compiled for the GPU at hand on first use. GPU only; float32 or bfloat16. */
    public static MambaKernels cuda() {
        return new MambaKernels("fused, CUDA", new CudaScan(), new CudaConv());
    }

    /** Of libtorch's own operations and gradients: the reference that the others are compared with. */
    public static MambaKernels composed() {
        return new MambaKernels("composed", ComposedScan.unbound(), new ComposedConv());
    }
}
