package org.mamba4j.torch.kernel;

import java.lang.foreign.MemorySegment;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.Rows;
import org.mamba4j.torch.Tensors;

/** Tensors as core's kernels see them: strided rows and dense memory, without copies wherever the strides allow. */
final class Memory {
    private Memory() {}

    /** {@code tensor} itself if its last dimension is contiguous, else a packed copy, so that {@link #rows} accepts it. */
    static Tensor withContiguousRows(Tensor tensor) {
        if (!tensor.defined() || tensor.dim() < 3 || tensor.size(2) <= 1 || tensor.stride(2) == 1) {
            return tensor;
        }
        return tensor.contiguous();
    }

    /** {@code tensor} itself if it is contiguous or absent, else a packed copy. */
    static Tensor dense(Tensor tensor) {
        return tensor.defined() && !tensor.is_contiguous() ? tensor.contiguous() : tensor;
    }

    /** Room for a share of the sum {@code tensor}; absent stays absent. */
    static Tensor scratch(Tensor tensor) {
        return tensor.defined() ? Tensors.emptyLike(tensor) : tensor;
    }

    /** Adds a share to its sum, if there are any. */
    static void add(Tensor share, Tensor sum) {
        if (sum.defined()) {
            sum.add_(share);
        }
    }

    /** A tensor (B, L, C) as rows; absent stays absent. */
    static Rows rows(String what, Tensor tensor) {
        if (!tensor.defined()) {
            return Rows.ABSENT;
        }
        check(what, tensor);
        return new Rows(
                Tensors.stridedSegment(tensor),
                0,
                Math.toIntExact(tensor.size(0)),
                Math.toIntExact(tensor.size(1)),
                Math.toIntExact(tensor.size(2)),
                tensor.stride(0),
                tensor.stride(1));
    }

    /** A contiguous tensor of any shape; absent stays absent. */
    static MemorySegment segment(String what, Tensor tensor) {
        if (!tensor.defined()) {
            return MemorySegment.NULL;
        }
        check(what, tensor);
        return Tensors.segment(tensor);
    }

    private static void check(String what, Tensor tensor) {
        if (tensor.is_cuda() || tensor.scalar_type().intern() != ScalarType.Float) {
            throw new IllegalArgumentException(
                    what + " is " + tensor.scalar_type().intern() + (tensor.is_cuda() ? " on a GPU" : "")
                            + ": these kernels take float32 on the CPU");
        }
    }
}
