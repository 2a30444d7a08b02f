package org.mamba4j.torch.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/**
 * Documents packed one after another into sequences: {@code resets} (B, L), uint8 or bool, is nonzero where one begins.
 * What stands before the first beginning of a sequence continues what an earlier call ended with.
 */
final class Documents {
    private static final List<ScalarType> TYPES = List.of(ScalarType.Byte, ScalarType.Bool);

    private Documents() {}

    /** @throws IllegalArgumentException if there are resets of another shape or type */
    static void check(Tensor resets, long batch, long length) {
        if (!resets.defined()) {
            return;
        }
        Tensors.checkShape("resets", resets, batch, length);
        ScalarType type = resets.scalar_type().intern();
        if (!TYPES.contains(type)) {
            throw new IllegalArgumentException("resets is " + type + ", wanted uint8 or bool");
        }
    }

    /** {@code resets} as the CUDA kernels read them: a byte for each step, one after another; absent stays absent. */
    static Tensor onGpu(Tensor resets) {
        Tensor packed = Memory.dense(resets);
        GpuTensors.requireIfThere("resets", packed, TYPES, -1, -1);
        return packed;
    }

    /** Whether a document begins (B, L), bool. */
    static Tensor begins(Tensor resets) {
        return resets.ne(new Scalar(0));
    }

    /**
     * The number of each step's document within its sequence (B, before + L), int64.
     *
     * @param before steps before the first, which belong to document 0, as do those up to the first beginning
     */
    static Tensor numbers(Tensor resets, long before) {
        return torch.constant_pad_nd(begins(resets), new long[] {before, 0}).cumsum(1);
    }

    /**
     * Consecutive steps of some sequences that are one piece of work.
     *
     * @param item the first sequence, of {@code items}
     * @param from the first step, of {@code steps}
     * @param continues whether the state before the sequences is that before these steps; nothing is, otherwise
     * @param ends whether the sequences end with these steps
     */
    record Span(long item, long items, long from, long steps, boolean continues, boolean ends) {
        /** These steps of (B, L, …). */
        Tensor rows(Tensor tensor) {
            return tensor.defined() ? items(tensor).narrow(1, from, steps) : tensor;
        }

        /** These sequences of (B, …). */
        Tensor items(Tensor tensor) {
            return tensor.defined() ? tensor.narrow(0, item, items) : tensor;
        }

        /** What these steps start from, of the state before the sequences (B, …). */
        Tensor start(Tensor state) {
            return continues ? items(state) : Tensors.absent();
        }

        /** Where these steps leave their last state, of that after the sequences (B, …). */
        Tensor end(Tensor state) {
            return ends ? items(state) : Tensors.absent();
        }
    }

    /** The documents of each sequence, one by one; without resets, or without steps, all sequences at once. */
    static List<Span> spans(Tensor resets, long batch, long length) {
        if (!resets.defined() || length == 0) {
            return List.of(new Span(0, batch, 0, length, true, true));
        }
        Tensor packed = resets.contiguous();
        MemorySegment flags = Tensors.segment(packed);
        List<Span> spans = new ArrayList<>();
        for (long item = 0; item < batch; item++) {
            long from = 0;
            boolean continues = flags.get(ValueLayout.JAVA_BYTE, item * length) == 0;
            for (long t = 1; t < length; t++) {
                if (flags.get(ValueLayout.JAVA_BYTE, item * length + t) != 0) {
                    spans.add(new Span(item, 1, from, t - from, continues, false));
                    from = t;
                    continues = false;
                }
            }
            spans.add(new Span(item, 1, from, length - from, continues, true));
        }
        return spans;
    }
}
