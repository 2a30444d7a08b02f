package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;

/** A shape of block of a {@link Composed} model: projections and gates around an {@link InnerLayer}. */
@FunctionalInterface
interface Mixer {
    /**
     * @param x the normalised residual stream (B, L, d)
     * @param carry where the sequence starts, and who wants to know where it ends
     * @return what is added to the residual stream (B, L, d)
     */
    Tensor forward(Tensor x, Carry carry);
}
