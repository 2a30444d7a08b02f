package org.mamba4j.ssm;

/** What makes a sequence of a sequence, causally: output t depends on inputs up to t alone. */
@FunctionalInterface
public interface SequenceMap {
    /**
     * @param u inputs (L)
     * @return outputs (L)
     */
    double[] apply(double[] u);

    /**
     * How far this is from being linear on two sequences: max |f(αu + v) - (α f(u) + f(v))|, zero up to rounding where it is.
     *
     * @param u (L)
     * @param v (L)
     */
    default double linearityDefect(double[] u, double[] v, double alpha) {
        double[] sum = new double[u.length];
        for (int t = 0; t < u.length; t++) {
            sum[t] = alpha * u[t] + v[t];
        }
        double[] together = apply(sum);
        double[] one = apply(u);
        double[] other = apply(v);
        double greatest = 0;
        for (int t = 0; t < u.length; t++) {
            greatest = Math.max(greatest, Math.abs(together[t] - (alpha * one[t] + other[t])));
        }
        return greatest;
    }

    /**
     * How far a delayed input is from giving the delayed output: zero up to rounding where this is time-invariant. Note that a
     * selective system passes where the delay puts zeros before the input and the state is still zero: what it does
     * not have is <em>linear</em> time invariance. Hence the sequence is delayed behind a {@code prefix}, against the
     * prefix alone.
     *
     * @param u (L)
     * @param prefix what comes before the input, and, followed by zeros, in the comparison without it (P)
     */
    default double timeInvarianceDefect(double[] u, double[] prefix) {
        int length = prefix.length + u.length;
        double[] delayed = new double[length];
        System.arraycopy(prefix, 0, delayed, 0, prefix.length);
        System.arraycopy(u, 0, delayed, prefix.length, u.length);
        double[] alone = new double[length];
        System.arraycopy(prefix, 0, alone, 0, prefix.length);
        double[] with = apply(delayed);
        double[] without = apply(alone);
        double[] now = apply(u);
        double greatest = 0;
        for (int t = 0; t < u.length; t++) {
            int late = prefix.length + t;
            greatest = Math.max(greatest, Math.abs(with[late] - without[late] - now[t]));
        }
        return greatest;
    }
}
