package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.kernel.Kernels;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.torch.Devices;

/**
 * One way to run a Mamba layer: where, in which arithmetic, and with what for the operations that are no matrix products.
 * Parameters, the residual stream and states are float32 everywhere.
 *
 * @param name for logs
 * @param device as {@link Devices#of} has it
 * @param activations type of what flows between the operations of a layer and of both factors of its matrix products,
 *     float32 or bfloat16
 */
public record MambaKernels(String name, String device, ScalarType activations, SelectiveScan scan, CausalConv conv) {
    private static final String CPU = "cpu";

    /** On core's kernels: fast, and without any (B, L, D, N) tensor. CPU only. */
    public static MambaKernels fused() {
        return fused(Kernels.best());
    }

    /** The same on so many threads, at least 1. */
    public static MambaKernels fused(int threads) {
        return fused(Kernels.best(threads));
    }

    private static MambaKernels fused(SequenceKernels kernels) {
        return new MambaKernels(
                "fused, " + kernels.name(), CPU, ScalarType.Float, new FusedScan(kernels), new FusedConv(kernels));
    }

    /** On CUDA kernels of our own, compiled for the GPU at hand on first use; float32. */
    public static MambaKernels cuda() {
        return cuda("cuda", Precision.FLOAT32);
    }

    /**
     * On CUDA kernels of our own, compiled for the GPU at hand on first use.
     *
     * @param device {@code cuda} or {@code cuda:N}
     */
    public static MambaKernels cuda(String device, Precision precision) {
        return new MambaKernels("fused, CUDA", device, precision.type(), new CudaScan(), new CudaConv());
    }

    /** Of libtorch's own operations and gradients: the reference that the others are compared with. */
    public static MambaKernels composed() {
        return new MambaKernels("composed", CPU, ScalarType.Float, ComposedScan.unbound(), new ComposedConv());
    }

    /**
     * The fastest for a device.
     *
     * @param device {@code cpu}, {@code cuda} or {@code cuda:N}
     * @param threads of the CPU, at least 1
     * @throws UserError if there is no such device, or it cannot compute with that precision
     */
    public static MambaKernels on(String device, Precision precision, int threads) {
        Devices.check(device);
        if (!device.equals(CPU)) {
            return cuda(device, precision);
        }
        if (precision != Precision.FLOAT32) {
            throw new UserError(
                    "precision " + precision.key() + " is for GPUs: on the CPU use float32, or add device cuda");
        }
        return fused(threads);
    }

    /** Whether all runs on a GPU. */
    public boolean isCuda() {
        return !device.equals(CPU);
    }

    /** {@code x} in the type of the activations. */
    public Tensor activation(Tensor x) {
        return x.defined() && x.scalar_type().intern() != activations ? x.to(activations) : x;
    }

    /** x · weightᵀ + bias in the type of the activations; without the bias where it is absent. */
    public Tensor linear(Tensor x, Tensor weight, Tensor bias) {
        Tensor narrow = activation(x);
        return bias.defined()
                ? torch.linear(narrow, activation(weight), new TensorOptional(activation(bias)))
                : torch.linear(narrow, activation(weight));
    }
}
