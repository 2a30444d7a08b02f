package org.mamba4j.torch.parallel;

import org.bytedeco.pytorch.Tensor;

/**
 * Adds up the gradients of all ranks, while the backward pass is still running where that is possible.
 *
 * <p>Each step: any number of backward passes that are not the step's last; {@link #arm}; the last one, during which
 * {@link #ready} may be called once for each parameter whose gradient is complete; {@link #finish}. All ranks must go through
 * the same sequence of {@code arm} and {@code finish}, with or without a backward pass.
 */
public interface GradientExchange extends AutoCloseable {
    /** For a rank that is alone. */
    GradientExchange NONE = new GradientExchange() {
        @Override
        public void arm() {}

        @Override
        public void ready(String names) {}

        @Override
        public void finish() {}

        @Override
        public void addUp(Tensor numbers) {}

        @Override
        public void close() {}
    };

    /** The backward pass that comes next is the last one of this step. */
    void arm();

    /**
     * Gradients are complete and must not be written to until {@link #finish}: on a GPU, all that writes them has been
     * given to the current stream. Backward passes by libtorch's autograd need not call it, a hook on each parameter does.
     *
     * @param names of a parameter, or the beginning that the names of some share; of none is fine too
     */
    void ready(String names);

    /**
     * Sends what was not sent yet. Afterwards each gradient is the sum over all ranks; on a GPU, for what is given to the
     * current stream from now on.
     */
    void finish();

    /** Adds up a tensor that lies where the gradients do, over all ranks and in place, as {@link #finish} does. */
    void addUp(Tensor numbers);

    @Override
    void close();
}
