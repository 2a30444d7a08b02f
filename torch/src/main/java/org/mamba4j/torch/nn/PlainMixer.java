package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The block of S4 [1], which the Mamba paper calls "no gate": inner layer, GELU, and a projection to twice the width whose
 * one half gates the other. The gate is made of what the inner layer gave, so nothing but the inner layer decides what of
 * the sequence gets through.
 *
 * <p>Reference: [1] A. Gu, K. Goel, C. Ré: Efficiently Modeling Long Sequences with Structured State Spaces, arXiv
 * 2111.00396, section 3.4.
 *
 * @param layer whose block it is
 * @param inner D = d channels
 */
record PlainMixer(ComposedLayer layer, InnerLayer inner) implements Mixer {
    @Override
    public Tensor forward(Tensor x, Carry carry) {
        Tensor y = torch.gelu(inner.forward(layer.kernels().activation(x), carry)); // (B, L, D)
        return torch.glu(layer.linear(y, "mixer.out_proj"), 2); // (B, L, d)
    }
}
