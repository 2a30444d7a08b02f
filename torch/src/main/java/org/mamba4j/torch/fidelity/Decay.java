package org.mamba4j.torch.fidelity;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LayerView.Recurrence;

/**
 * How the influence of an input on a layer's output falls with the tokens between them, through the recurrence alone:
 *
 * <pre>
 * w(k) = mean over channels d and places t of | Σ_n C_tn exp(A_dn Σ_{j=t-k+1..t} Δ_jd) Δ_(t-k)d B_(t-k)n |
 * </pre>
 *
 * <p>The decay is exponential in the Δ that pile up in between, not necessarily in k: a Mamba that keeps Δ small over what
 * it finds dull remembers longer.
 */
final class Decay {
    private Decay() {}

    /**
     * w at each lag, over some places of one sequence.
     *
     * @param layer what carries
     * @param lags rising, the last one smaller than every place
     * @param places t, token indices
     */
    static float[] influence(Recurrence layer, List<Integer> lags, int[] places) {
        Tensor passed = passed(layer); // (L, D)
        TensorVector means = new TensorVector();
        for (int lag : lags) {
            means.push_back(
                    carried(layer, passed, shifted(places, -lag), places).mean());
        }
        return Tensors.toFloats(torch.stack(means));
    }

    /** Σ Δ from the first token to each one (L, D), float64. */
    static Tensor passed(Recurrence layer) {
        return layer.steps().to(ScalarType.Double).cumsum(0);
    }

    /**
     * Size of what each token of {@code from} adds to the output of the token of {@code to} in the same place, for an input
     * of 1 in every channel.
     *
     * @param passed what {@link #passed} gives of the layer
     * @param from T token indices
     * @param to as many, none before its origin
     * @return (T, D), none negative
     */
    static Tensor carried(Recurrence layer, Tensor passed, int[] from, int[] to) {
        Tensor steps = layer.steps(); // (L, D)
        Tensor then = index(from, steps);
        Tensor now = index(to, steps);
        Tensor between =
                passed.index_select(0, now).sub(passed.index_select(0, then)).to(ScalarType.Float); // (T, D)
        Tensor read = of(layer.c(), now).mul(of(layer.b(), then)); // (T or 1, 1 or D, M)
        Tensor left =
                between.unsqueeze(2).mul(layer.a().unsqueeze(0)).exp().mul(read).sum(new long[] {2}); // (T, D)
        if (left.is_complex()) {
            left = torch.real(left).mul(new Scalar(2.0)); // with the conjugates
        }
        return left.abs().mul(steps.index_select(0, then));
    }

    /** B or C of some tokens, of which a constant one makes no difference. */
    private static Tensor of(Tensor matrix, Tensor tokens) {
        return Recurrence.isOfToken(matrix) ? matrix.index_select(0, tokens) : matrix;
    }

    static int[] shifted(int[] places, int by) {
        int[] shifted = places.clone();
        for (int i = 0; i < shifted.length; i++) {
            shifted[i] += by;
        }
        return shifted;
    }

    private static Tensor index(int[] places, Tensor where) {
        return Tensors.ofTokens(places, 0, places.length).to(where.device(), ScalarType.Long);
    }

    /**
     * Tokens after which half of the influence is left, straight between lags in their logarithm + 1.
     *
     * @return infinite if more than half is left at the last lag
     */
    static double halfLife(List<Integer> lags, List<Double> influence) {
        double half = influence.getFirst() / 2;
        for (int i = 1; i < lags.size(); i++) {
            if (influence.get(i) <= half) {
                double share = (influence.get(i - 1) - half) / (influence.get(i - 1) - influence.get(i));
                double from = Math.log(lags.get(i - 1) + 1.0);
                double to = Math.log(lags.get(i) + 1.0);
                return Math.exp(from + share * (to - from)) - 1;
            }
        }
        return Double.POSITIVE_INFINITY;
    }

    /**
     * Bits that a layer's state can at most tell of the input k tokens ago, if all inputs were independent Gaussians of one
     * variance and each channel weighed them as w does: channels · ½ log2(1 + w(k)² / Σ_{j≠k} w(j)²), the other inputs up
     * to the last lag being the noise.
     *
     * @param channels D
     */
    static List<Double> bound(List<Integer> lags, List<Double> influence, int channels) {
        double all = 0;
        for (int i = 0; i < lags.size(); i++) {
            double w = influence.get(i);
            all += w * w;
            if (i + 1 < lags.size()) {
                double next = influence.get(i + 1);
                int gap = lags.get(i + 1) - lags.get(i);
                for (int j = 1; j < gap; j++) {
                    double between = w + (next - w) * j / gap;
                    all += between * between;
                }
            }
        }
        List<Double> bits = new ArrayList<>();
        for (double w : influence) {
            double rest = all - w * w;
            bits.add(rest > 0 ? channels / 2.0 * Math.log1p(w * w / rest) / Math.log(2) : Double.POSITIVE_INFINITY);
        }
        return bits;
    }
}
