package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * The block of H3 [1]: projections q, k, v of a token; k passes a short filter and is multiplied by v; the inner layer carries
 * the product along the sequence; q is multiplied by what it gives.
 *
 * <p>It looks like an attention without the softmax: the filter lets k of a token meet v of the one after it, the inner layer
 * keeps the pair, and q asks for it. The filter is H3's shift state space, whose state is a window of the last inputs and whose
 * output is any weighting of them: learned taps, and a skip weight beside them. Heads here have one channel, H3's default.
 *
 * <p>Around a Hyena, the filter runs over q, k and v alike and is as short as that of a Mamba's block, as [2] has it: with it
 * the block is a Hyena of order 2, q · conv(k · v).
 *
 * <p>References: [1] D. Fu et al.: Hungry Hungry Hippos, arXiv 2212.14052. [2] M. Poli et al.: Hyena Hierarchy, arXiv
 * 2302.10866.
 *
 * @param layer whose block it is
 * @param inner D = d channels
 */
record H3Mixer(ComposedLayer layer, InnerLayer inner) implements Mixer {
    @Override
    public Tensor forward(Tensor x, Carry carry) {
        Tensor projected = layer.linear(x, "mixer.in_proj"); // (B, L, 3d)
        boolean all = layer.parts().filtersAll();
        TensorVector qkv = (all ? convolved(projected, carry) : projected)
                .split(layer.config().dModel(), 2); // 3 × (B, L, d)
        Tensor k = all ? qkv.get(1) : shifted(qkv.get(1), carry); // (B, L, d)
        Tensor found = inner.forward(k.mul(qkv.get(2)), carry); // (B, L, d)
        return layer.linear(qkv.get(0).mul(found), "mixer.out_proj"); // (B, L, d)
    }

    /** Hyena's short convolution: (B, L, 3d) → (B, L, 3d). */
    private Tensor convolved(Tensor x, Carry carry) {
        Tensor y = filtered(x, layer.weight("mixer.conv1d.weight").squeeze(1), carry);
        return layer.kernels().activation(y.add(layer.weight("mixer.conv1d.bias")));
    }

    /** H3's shift: (B, L, d) → (B, L, d). */
    private Tensor shifted(Tensor k, Carry carry) {
        Tensor y = filtered(k, layer.weight("mixer.shift.weight"), carry);
        return layer.kernels().activation(y.add(k.mul(layer.weight("mixer.shift.skip"))));
    }

    private Tensor filtered(Tensor x, Tensor taps, Carry carry) {
        CausalFilter.Result result = CausalFilter.apply(x, taps, carry.conv(layer.index()));
        if (carry.wantsState()) {
            carry.update(layer.index(), "conv", result.last());
        }
        return result.y();
    }
}
