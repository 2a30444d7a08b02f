package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/** Checks of what is given to CUDA kernels that read plain memory: a wrong type or stride would be read as numbers. */
final class GpuTensors {
    /** What activations may be. */
    static final List<ScalarType> ACTIVATIONS = List.of(ScalarType.Float, ScalarType.BFloat16);

    /** What parameters and sums are. */
    static final List<ScalarType> FLOAT = List.of(ScalarType.Float);

    static final List<ScalarType> LONG = List.of(ScalarType.Long);
    private static final int VECTOR_BYTES = 16;

    private GpuTensors() {}

    /**
     * Checks that {@code tensor} is contiguous memory of a GPU.
     *
     * @param what names it in messages
     * @param shape the sizes wanted; -1 accepts any
     */
    static void require(String what, Tensor tensor, List<ScalarType> types, long... shape) {
        requireRows(what, tensor, types, shape);
        if (!tensor.is_contiguous()) {
            throw new IllegalArgumentException(what + " " + Tensors.shape(tensor) + " is not contiguous");
        }
    }

    /** The same, but rows (of the last dimension) may lie anywhere. */
    static void requireRows(String what, Tensor tensor, List<ScalarType> types, long... shape) {
        Tensors.checkShape(what, tensor, shape);
        ScalarType type = tensor.scalar_type().intern();
        if (!tensor.is_cuda() || !types.contains(type)) {
            throw new IllegalArgumentException(
                    what + " is " + type + (tensor.is_cuda() ? "" : " on the CPU") + ": wanted " + types + " on a GPU");
        }
        long last = tensor.dim() - 1;
        if (last >= 0 && tensor.size(last) > 1 && tensor.stride(last) != 1) {
            throw new IllegalArgumentException(what + " " + Tensors.shape(tensor) + " has stride " + tensor.stride(last)
                    + " within rows, wanted 1");
        }
    }

    /** The same as {@link #require} where {@code tensor} is there. */
    static void requireIfThere(String what, Tensor tensor, List<ScalarType> types, long... shape) {
        if (tensor.defined()) {
            require(what, tensor, types, shape);
        }
    }

    /** Whether all {@code tensors} that are there and have elements begin at multiples of 16 bytes. */
    static boolean beginAligned(Tensor... tensors) {
        for (Tensor tensor : tensors) {
            if (tensor.defined() && tensor.numel() > 0 && tensor.data_ptr().address() % VECTOR_BYTES != 0) {
                return false;
            }
        }
        return true;
    }

    /** For the macros of kernels: 0 absent, 1 float32, 2 bfloat16. */
    static int typeCode(Tensor tensor) {
        if (!tensor.defined()) {
            return 0;
        }
        return tensor.scalar_type().intern() == ScalarType.BFloat16 ? 2 : 1;
    }
}
