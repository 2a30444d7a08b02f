package org.mamba4j.torch.train;

import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.data.BatchSource;
import org.mamba4j.torch.nn.MemoryTraining;

/** One way to make steps of gradient descent on a network: gradients, clipping and the optimiser's update. */
interface Descent extends AutoCloseable {
    /**
     * What a step did.
     *
     * @param loss mean over its batches, nats per token; with several ranks that of all of them
     * @param gradientNorm before clipping
     */
    record Step(double loss, double gradientNorm) {
        boolean isFinite() {
            return Double.isFinite(loss) && Double.isFinite(gradientNorm);
        }
    }

    /**
     * One step; with several ranks this one's {@link org.mamba4j.torch.parallel.WorkShare} of it. Weights change only if loss and gradient are numbers.
     *
     * @param step counted from 0
     * @param source its batches are those from {@code step · accumulate} on
     */
    Step step(int step, BatchSource source);

    /**
     * What each layer's memory did in the last step, if that is one whose metrics are written; empty after others, and
     * for networks that take no notes.
     */
    default List<MemoryTraining.Statistics> notes() {
        return List.of();
    }

    /** The optimiser's float32 tensors by name, for checkpoints; to be written only in place. */
    Map<String, Tensor> state();

    /** Steps that have made the state. */
    int steps();

    /** Says that weights and {@link #state} were replaced by those of a run of so many steps. */
    void restored(int steps);

    @Override
    void close();
}
