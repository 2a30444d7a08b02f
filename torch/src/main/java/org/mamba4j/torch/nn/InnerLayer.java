package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * What moves information along the sequence in a block of a {@link Composed} model: causal, each channel by itself or not,
 * its skip connection included. Activations come and go in the type of the model's activations.
 */
interface InnerLayer {
    /**
     * @param u (B, L, D)
     * @param carry where the sequence starts, and who wants to know where it ends
     * @return (B, L, D)
     */
    Tensor forward(Tensor u, Carry carry);

    /**
     * The same with a gate: {@link #forward} times silu(z), for layers whose kernels can do both at once.
     *
     * @param z (B, L, D)
     */
    default Tensor gated(Tensor u, Tensor z, Carry carry) {
        return forward(u, carry).mul(torch.silu(z));
    }

    /**
     * What it does with {@code u}, for studies.
     *
     * @param u (1, L, D)
     */
    LayerView view(Tensor u);

    /** Called when the parameters have been drawn: for what is stored in another form. */
    default void prepare() {}

    /** Frees what it keeps between calls; parameters are the network's. */
    default void close() {}
}
