package org.mamba4j.torch.train;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.data.Batch;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * Where a recorded step finds its batch and leaves its loss, on a GPU.
 *
 * @param inputs (B, L) int64
 * @param targets (B, L) int64
 * @param weights (B, L) float32, or absent
 * @param loss (1) float32
 */
record BatchMemory(Tensor inputs, Tensor targets, Tensor weights, Tensor loss) implements AutoCloseable {
    /** Fits no batch. */
    static final BatchMemory NONE =
            new BatchMemory(Tensors.absent(), Tensors.absent(), Tensors.absent(), Tensors.absent());

    /** For batches of the form of {@code batch}, on the device of {@code like}; not part of any scope. */
    static BatchMemory of(Batch batch, Tensor like) {
        try (TensorScope scope = new TensorScope()) {
            return new BatchMemory(
                    scope.release(Tensors.emptyLike(like, ScalarType.Long, batch.rows(), batch.length())),
                    scope.release(Tensors.emptyLike(like, ScalarType.Long, batch.rows(), batch.length())),
                    batch.isWeighted()
                            ? scope.release(Tensors.emptyLike(like, ScalarType.Float, batch.rows(), batch.length()))
                            : Tensors.absent(),
                    scope.release(Tensors.emptyLike(like, ScalarType.Float, 1)));
        }
    }

    boolean fits(Batch batch) {
        return inputs.defined()
                && inputs.size(0) == batch.rows()
                && inputs.size(1) == batch.length()
                && weights.defined() == batch.isWeighted();
    }

    void fill(Batch batch) {
        TensorScope.run(() -> {
            inputs.copy_(BatchTensors.inputs(batch));
            targets.copy_(BatchTensors.targets(batch));
            if (weights.defined()) {
                weights.copy_(BatchTensors.weights(batch));
            }
        });
    }

    @Override
    public void close() {
        List.of(inputs, targets, weights, loss).stream().filter(Tensor::defined).forEach(Tensor::close);
    }
}
