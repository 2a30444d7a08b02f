package org.mamba4j.ssm;

import java.util.List;

/**
 * A continuous, linear, time-invariant state space with one input and one output: x'(t) = A x(t) + B u(t), y(t) = C x(t) + D u(t)
 * [1].
 *
 * <p>A decides what the state remembers: each eigenvalue is a mode that decays by its real part and turns by its imaginary
 * part. B decides what is written, C what is read, D passes the input by. Nothing of it knows of tokens: how a sequence of
 * them is laid on the time axis, by a step Δ and a rule for what the input does within a step, is the {@link
 * Discretisation}.
 *
 * <p>Reference: [1] A. Gu, K. Goel, C. Ré: Efficiently Modeling Long Sequences with Structured State Spaces, arXiv
 * 2111.00396, section 2.1.
 *
 * @param a how the state moves by itself (N, N)
 * @param b how the input enters it (N, 1)
 * @param c how it is read (1, N)
 * @param d what of the input is in the output at once
 */
public record ContinuousSystem(Matrix a, Matrix b, Matrix c, double d) {
    /** @throws IllegalArgumentException if the shapes do not fit */
    public ContinuousSystem {
        int n = a.rows();
        if (a.columns() != n || b.rows() != n || b.columns() != 1 || c.rows() != 1 || c.columns() != n) {
            throw new IllegalArgumentException(
                    "A (" + a.rows() + ", " + a.columns() + "), B (" + b.rows() + ", " + b.columns() + "), C ("
                            + c.rows() + ", " + c.columns() + ") are no system of one input and output");
        }
    }

    /**
     * A real system of N = 2 M states out of M complex modes, each of which stands for its conjugate too, with what they say to each
     * other through one more vector: x' = (Λ - P P*) x + B u, y = 2 Re(C x) + D u. States are real and imaginary parts in
     * turn.
     *
     * @param lambda Λ (M)
     * @param p P (M); all zero for a diagonal system
     * @param b (M)
     * @param c (M)
     */
    public static ContinuousSystem ofConjugatePairs(
            List<Complex> lambda, List<Complex> p, List<Complex> b, List<Complex> c, double d) {
        int n = 2 * lambda.size();
        double[] low = parts(p);
        // Of the full P* x, what a mode and its conjugate add is twice the real part.
        Matrix a = Matrix.of(n, n, (i, j) -> mode(lambda, i, j) - 2 * low[i] * low[j]);
        double[] read = new double[n];
        for (int m = 0; m < c.size(); m++) {
            read[2 * m] = 2 * c.get(m).re();
            read[2 * m + 1] = -2 * c.get(m).im();
        }
        return new ContinuousSystem(a, Matrix.column(parts(b)), Matrix.row(read), d);
    }

    /** The real 2 × 2 blocks of multiplication by each λ. */
    private static double mode(List<Complex> lambda, int i, int j) {
        if (i / 2 != j / 2) {
            return 0;
        }
        Complex value = lambda.get(i / 2);
        return i == j ? value.re() : i < j ? -value.im() : value.im();
    }

    private static double[] parts(List<Complex> values) {
        double[] parts = new double[2 * values.size()];
        for (int m = 0; m < values.size(); m++) {
            parts[2 * m] = values.get(m).re();
            parts[2 * m + 1] = values.get(m).im();
        }
        return parts;
    }
}
