package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * A residual stream, added up and normalised.
 *
 * @param sum (M, d) float32; the stream itself where there was nothing to add
 * @param normed (M, d) in the type of the activations
 * @param scale (M) float32, for the way back
 */
public record NormedStream(Tensor sum, Tensor normed, Tensor scale) {
    /** In new tensors of the caller's scope. */
    public static NormedStream of(MambaLayerPass.Residual in, CudaRmsNorm norm, ScalarType type) {
        try (TensorScope scope = new TensorScope()) {
            Tensor x = in.x();
            Tensor normed = scope.promote(Tensors.emptyLike(x, type, x.shape()));
            Tensor scale = scope.promote(Tensors.emptyLike(x, ScalarType.Float, x.size(0)));
            if (!in.addend().defined()) {
                norm.forward(x, normed, scale);
                return new NormedStream(x, normed, scale);
            }
            Tensor sum = scope.promote(Tensors.emptyLike(x));
            norm.forwardAdd(x, in.addend(), sum, normed, scale);
            return new NormedStream(sum, normed, scale);
        }
    }
}
