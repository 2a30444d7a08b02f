package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/**
 * A learned causal filter of a few taps in each channel: y(t) = Σ_{j < K} w(K - 1 - j) x(t - j), so that the last tap meets the
 * token at hand; no activation follows. What it must remember of a sequence are its last K - 1 inputs.
 *
 * <p>Few taps are as many shifted products; many are a product of Fourier transforms, but for a single token.
 *
 * <p>Shapes: B batch, L length, D channels, K taps.
 */
final class CausalFilter {
    /** Taps up to which shifted products are made. */
    private static final long FEW = 4;

    private CausalFilter() {}

    /**
     * The output and what is to be remembered.
     *
     * @param y (B, L, D), float32
     * @param last the last K - 1 inputs, oldest first (B, D, K - 1), float32
     */
    record Result(Tensor y, Tensor last) {}

    /**
     * @param x (B, L, D)
     * @param taps (D, K)
     * @param before the K - 1 inputs before (B, D, K - 1); absent for zeros
     */
    static Result apply(Tensor x, Tensor taps, Tensor before) {
        long kernel = taps.size(1);
        long length = x.size(1);
        Tensor now = x.to(ScalarType.Float).transpose(1, 2); // (B, D, L)
        Tensor past = before.defined()
                ? before
                : Tensors.emptyLike(x, ScalarType.Float, x.size(0), x.size(2), kernel - 1)
                        .fill_(new Scalar(0)); // (B, D, K - 1)
        Tensor all = torch.cat(new TensorVector(past, now), 2); // (B, D, K - 1 + L)
        Tensor y; // (B, D, L)
        if (length == 1) {
            y = all.mul(taps).sum(2).unsqueeze(2);
        } else if (kernel <= FEW) {
            y = all.narrow(2, 0, length).mul(taps.narrow(1, 0, 1));
            for (long tap = 1; tap < kernel; tap++) {
                y = y.add(all.narrow(2, tap, length).mul(taps.narrow(1, tap, 1)));
            }
        } else {
            y = FftConvolution.causal(all, taps.flip(1)).narrow(2, kernel - 1, length);
        }
        return new Result(y.transpose(1, 2), all.narrow(2, length, kernel - 1).contiguous());
    }
}
