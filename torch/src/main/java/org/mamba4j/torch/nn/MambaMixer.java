package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.SequenceOutput;

/**
 * The block of Mamba [1]: a projection to the inner layer's input and to a gate, a short causal convolution with silu before
 * the inner layer, the gate after it. {@link MambaBlock} is the same with an S6 inside, and with kernels for the whole.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 3.4.
 *
 * @param layer whose block it is
 * @param inner D = expand · d channels
 */
record MambaMixer(ComposedLayer layer, InnerLayer inner) implements Mixer {
    @Override
    public Tensor forward(Tensor x, Carry carry) {
        TensorVector halves =
                layer.linear(x, "mixer.in_proj").split(layer.config().dInner(), 2); // 2 × (B, L, D)
        ConvInputs inputs = new ConvInputs(
                halves.get(0),
                layer.weight("mixer.conv1d.weight"),
                layer.weight("mixer.conv1d.bias"),
                carry.conv(layer.index()));
        SequenceOutput conv = layer.kernels().conv().apply(inputs, carry.wantsState());
        if (carry.wantsState()) {
            carry.update(layer.index(), "conv", conv.lastState());
        }
        return layer.linear(inner.gated(conv.y(), halves.get(1), carry), "mixer.out_proj"); // (B, L, d)
    }
}
