package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * How notes are taken in the step at hand, where kernels read it: on the GPU at an address that does not change, so that
 * a recorded step serves all of them ({@code NoteControls} in note_select.cu).
 */
public final class MemoryControls implements AutoCloseable {
    private static final int NUMBERS = 8;

    private final Tensor numbers;

    /**
     * What may change from step to step.
     *
     * @param capacity notes that a pool holds
     * @param dense whether every token is noted
     * @param exploration probability with which a token is noted whatever its score
     * @param seed of these draws; that of layer i is greater by i
     * @param quantile the thresholds move to the so-manieth of a batch's scores, the least being the first
     * @param move how much of the way, 0 for not at all
     * @param freeShare mean gate up to which notes are free
     * @param price factor of the price of notes
     */
    public record Values(
            int capacity,
            boolean dense,
            double exploration,
            long seed,
            long quantile,
            double move,
            double freeShare,
            double price) {}

    /** @param like a tensor of the device */
    public MemoryControls(Tensor like) {
        try (TensorScope scope = new TensorScope()) {
            numbers = scope.release(Tensors.emptyLike(like, ScalarType.Long, NUMBERS));
            numbers.zero_();
        }
    }

    /** Sets all, on the current stream. */
    public void set(Values values) {
        long[] all = {
            values.capacity,
            values.dense ? 1 : 0,
            (long) Math.ceil(values.exploration * 0x1p53), // SplittableRandom.nextDouble is one of 2^53 numbers
            values.seed,
            values.quantile,
            Double.doubleToRawLongBits(values.freeShare),
            Double.doubleToRawLongBits(values.price),
            Double.doubleToRawLongBits(values.move)
        };
        TensorScope.run(() -> numbers.copy_(Tensors.of(all, NUMBERS)));
    }

    Tensor numbers() {
        return numbers;
    }

    @Override
    public void close() {
        numbers.close();
    }
}
