package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.Tensors;

/**
 * {@link MambaLayerPass} as one operation of libtorch's autograd, for models that are more than a stack of such layers.
 *
 * <p>The graph sees the residual stream alone. Gradients of the layer's parameters do not travel through it: the backward
 * pass adds them where they belong, to gradients that must be there before.
 */
public final class DifferentiableLayer {
    private DifferentiableLayer() {}

    /**
     * x + mixer(RMSNorm(x)).
     *
     * @param x (B, L, d) float32 on a GPU, with a gradient
     * @param layer of weights as they are now
     * @return (B, L, d) float32
     */
    public static Tensor apply(Tensor x, MambaLayerPass layer) {
        long batch = x.size(0);
        Tensor stream = rows(Memory.dense(x.detach())); // (M, d)
        MambaLayerPass.Forward forward =
                NoGrad.call(() -> layer.forward(new MambaLayerPass.Residual(stream, Tensors.absent()), batch));
        Tensor y = NoGrad.call(() -> stream.add(forward.residual().addend())).view(x.shape()); // (B, L, d)
        MambaLayerPass.Saved saved = forward.saved().map(CustomGradient::save);
        return CustomGradient.apply(y, List.of(x), (gradY, gradients) -> {
            Tensor exact = gradients.getFirst(); // (B, L, d)
            exact.copy_(gradY);
            Tensor above = rows(exact); // (M, d)
            layer.backward(saved, new MambaLayerPass.ResidualGradient(above, layer.rounded(above)), batch, true);
        });
    }

    /** (B, L, d) → (M, d), the same memory. */
    private static Tensor rows(Tensor x) {
        return x.view(-1, x.size(2));
    }
}
