package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.torch.Tensors;

/**
 * Hyena's long convolution [1]: in each channel a kernel as long as the text, whose values are computed from the distance by a
 * small network, the implicit filter: y(t) = Σ_s h(s) u(t - s) + skip · u(t).
 *
 * <p>The network sees the distance s, in units of {@code kernel_length} tokens (τ), and a sine and a cosine of it; its
 * activations are sines of a learned frequency, so that it can draw kernels that oscillate. The last layer's outputs, one per
 * channel, fade by an exponential window of that channel, from slow to fast, so that channels differ in reach:
 *
 * <pre>
 *   h_c(s) = (W₃ sin(f ⊙ (W₂ sin(f ⊙ (W₁ sin(f ⊙ (W₀ [τ, cos 2πτ, -sin 2πτ] + b₀)) + b₁)) + b₂)))_c · exp(-τ α_c)
 *   α_c from ln(100) / 1.5 to ln(100) / 0.3, evenly over the channels
 * </pre>
 *
 * <p>The number of parameters does not depend on the length. But the kernel is the same for every text, so a token cannot decide what
 * of those before it is kept; and there is no state of fixed size: what was read is kept whole, and a token generated costs a
 * sum over all of it. The reference's sine and cosine have a frequency of 10⁻⁴ at this size of the feature, which is a constant;
 * here it is one period per {@code kernel_length}.
 *
 * <p>Shapes: B batch, L tokens at hand, T all tokens, D channels, F = {@value ComposedConfig#FILTER_WIDTH} width of the filter's
 * network.
 *
 * <p>Reference: [1] M. Poli et al.: Hyena Hierarchy: Towards Larger Convolutional Language Models, arXiv 2302.10866.
 */
final class HyenaLayer implements InnerLayer {
    private static final double SLOWEST = Math.log(100) / 1.5;
    private static final double FASTEST = Math.log(100) / 0.3;

    private final ComposedLayer layer;

    HyenaLayer(ComposedLayer layer) {
        this.layer = layer;
    }

    @Override
    public Tensor forward(Tensor u, Carry carry) {
        long length = u.size(1);
        Tensor all = carry.append(layer.index(), "inputs", u.unsqueeze(1)).squeeze(1); // (B, T, D)
        long total = all.size(1);
        Tensor exact = all.to(ScalarType.Float).transpose(1, 2); // (B, D, T)
        Tensor kernel = kernel(total); // (D, T)
        Tensor y = length == 1
                ? exact.mul(kernel.flip(1)).sum(2).unsqueeze(1) // (B, 1, D)
                : FftConvolution.causal(exact, kernel)
                        .narrow(2, total - length, length)
                        .transpose(1, 2); // (B, L, D)
        return layer.kernels().activation(y.add(u.mul(weight("skip")))); // (B, L, D)
    }

    /** It has no A; what is known of its kernel's reach is the window. */
    @Override
    public LayerView view(Tensor u) {
        Tensor perToken = rates().div(new Scalar((double) layer.config().kernelLength()));
        return new LayerView.Invariant(kernel(u.size(1)), Tensors.absent(), perToken.unsqueeze(1));
    }

    /** h(s) for s = 0 … {@code length} - 1: (D, length). */
    private Tensor kernel(long length) {
        Tensor time = layer.parameters()
                .range(0, length)
                .div(new Scalar((double) layer.config().kernelLength()))
                .unsqueeze(1); // (T, 1)
        Tensor angle = time.mul(new Scalar(2 * Math.PI));
        Tensor x = torch.cat(new TensorVector(time, angle.cos(), angle.sin().neg()), 1); // (T, 3)
        for (int i = 0; i <= ComposedConfig.FILTER_LAYERS; i++) {
            Tensor linear = LanguageNetwork.linear(x, weight(i + ".weight"), weight(i + ".bias"));
            x = linear.mul(weight("frequency")).sin(); // (T, F)
        }
        Tensor drawn = x.matmul(weight("out.weight").t()); // (T, D)
        return drawn.mul(time.mul(rates()).neg().exp()).t(); // (D, T)
    }

    /** How fast each channel's kernel fades: (D). */
    private Tensor rates() {
        int channels = layer.config().dInner();
        return layer.parameters().constant("filter.rates", () -> rates(channels), channels);
    }

    private static float[] rates(int channels) {
        float[] rates = new float[channels];
        for (int i = 0; i < channels; i++) {
            rates[i] = (float) (SLOWEST + (FASTEST - SLOWEST) * i / Math.max(1, channels - 1));
        }
        return rates;
    }

    private Tensor weight(String name) {
        return layer.weight("mixer.filter." + name);
    }
}
