package org.mamba4j.ssm;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;

/**
 * A state space whose step, input and output depend on the input itself [1]: h(t) = Ā(t) h(t - 1) + B̄(t) u(t), y(t) = Re Σ C(t) h(t),
 * where Ā and B̄ are made of a fixed diagonal A by the step Δ(t) = softplus(…) and B(t).
 *
 * <p>A step near 0 keeps the state and does not see the token; a long one forgets the state and takes the token: the model
 * chooses, token by token, what it remembers. What it pays is that there is no kernel any more: the map is neither linear
 * nor time-invariant (see {@link SequenceMap}), so it can be scanned but not convolved.
 *
 * <p>It contains the gates of recurrent networks ([1], theorem 1): with N = 1, A = -1, B = C = 1 and Δ = softplus(w u + b), {@link
 * Discretisation#ZERO_ORDER_HOLD} gives Ā = exp(-softplus(z)) = 1 - σ(z) and B̄ = 1 - Ā = σ(z), so h ← (1 - g) h + g u with g =
 * σ(w u + b). Under {@link Discretisation#EXPONENTIAL_EULER}, which is what Mamba runs, B̄ is softplus(z) instead of σ(z): the
 * same when the gate is nearly closed, unbounded when it is open. The theorem is about the text's rule, not the code's.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, sections 3.2, 3.5.
 *
 * @param a A (N)
 * @param step Δ of an input, positive
 * @param b B(n) of an input
 * @param c C(n) of an input
 * @param rule how a step is made of Δ
 */
public record SelectiveSystem(List<Complex> a, DoubleUnaryOperator step, Selection b, Selection c, Discretisation rule)
        implements SequenceMap {
    /** What is computed from a token for each number of state. */
    @FunctionalInterface
    public interface Selection {
        Complex of(int n, double u);
    }

    public SelectiveSystem {
        a = List.copyOf(a);
    }

    /** One state that is a gate, or, by another rule than zero-order hold, is not quite: see above. */
    public static SelectiveSystem gate(double weight, double bias, Discretisation rule) {
        return new SelectiveSystem(
                List.of(Complex.of(-1)),
                u -> softplus(weight * u + bias),
                (n, u) -> Complex.ONE,
                (n, u) -> Complex.ONE,
                rule);
    }

    /** log(1 + eᶻ). */
    public static double softplus(double z) {
        return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
    }

    @Override
    public double[] apply(double[] u) {
        Complex[] h = new Complex[a.size()];
        Arrays.fill(h, Complex.ZERO);
        double[] y = new double[u.length];
        for (int t = 0; t < u.length; t++) {
            double delta = step.applyAsDouble(u[t]);
            for (int n = 0; n < h.length; n++) {
                Discretisation.Mode mode = rule.of(a.get(n), delta);
                Complex entering = mode.input().times(b.of(n, u[t])).times(u[t]);
                h[n] = mode.decay().times(h[n]).plus(entering);
                y[t] += c.of(n, u[t]).times(h[n]).re();
            }
        }
        return y;
    }
}
