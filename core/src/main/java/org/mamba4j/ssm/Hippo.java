package org.mamba4j.ssm;

import java.util.ArrayList;
import java.util.List;

/**
 * HiPPO-LegS [1]: the state space whose N states are the coefficients of the past in Legendre polynomials, all of it since the beginning, evenly
 * weighted; in S4's time-invariant form the past fades out exponentially instead. A(n, k) = -√((2n + 1)(2k + 1)) for n > k, -(n + 1) on
 * the diagonal, 0 above; B(n) = √(2n + 1).
 *
 * <p>A is not normal: its eigenvectors are nearly parallel, exponentially so in N, and it cannot be diagonalised in floating
 * point. But A + P Pᵀ with P(n) = √(n + 1/2) is -1/2 plus a skew-symmetric matrix, which a unitary V diagonalises: A = V (Λ - P P*) V* ([2],
 * theorem 1). The result is called diagonal plus low rank, {@link #normalForm}. All real parts of Λ are -1/2; the imaginary
 * parts alone, without P, are S4D-LegS [3].
 *
 * <p>References: [1] A. Gu, T. Dao, S. Ermon, A. Rudra, C. Ré: HiPPO, arXiv 2008.07669. [2] A. Gu, K. Goel, C. Ré: Efficiently
 * Modeling Long Sequences with Structured State Spaces, arXiv 2111.00396. [3] A. Gu, A. Gupta, K. Goel, C. Ré: On the Parameterization
 * and Initialization of Diagonal State Space Models, arXiv 2206.11893.
 */
public final class Hippo {
    private static final double REAL_PART = -0.5;

    private Hippo() {}

    /**
     * A and B in a basis in which all but a matrix of rank one is diagonal, one of each pair of conjugates: that with positive
     * imaginary part, least first, and phases such that P is positive.
     *
     * @param lambda Λ (N / 2)
     * @param p P (N / 2)
     * @param b B (N / 2)
     * @param v the columns of V (N / 2 of N numbers): states of old are Σ 2 Re(v x)
     */
    public record NormalForm(List<Complex> lambda, List<Complex> p, List<Complex> b, List<List<Complex>> v) {
        public NormalForm {
            lambda = List.copyOf(lambda);
            p = List.copyOf(p);
            b = List.copyOf(b);
            v = List.copyOf(v);
        }
    }

    /** A (N, N). */
    public static Matrix a(int n) {
        return Matrix.of(n, n, (i, j) -> i > j ? -Math.sqrt((2 * i + 1.0) * (2 * j + 1)) : i == j ? -(i + 1) : 0);
    }

    /** B (N, 1). */
    public static Matrix b(int n) {
        return Matrix.of(n, 1, (i, j) -> Math.sqrt(2 * i + 1.0));
    }

    /**
     * The normal form.
     *
     * @param n N, even
     */
    public static NormalForm normalForm(int n) {
        if (n < 2 || n % 2 != 0) {
            throw new IllegalArgumentException("N = " + n + " must be even: modes come in pairs");
        }
        double[] rank = new double[n];
        for (int i = 0; i < n; i++) {
            rank[i] = Math.sqrt(i + 0.5);
        }
        Matrix a = a(n);
        Matrix skew = Matrix.of(n, n, (i, j) -> a.get(i, j) + rank[i] * rank[j] - (i == j ? REAL_PART : 0));
        // i · skew is Hermitian; as a real symmetric matrix of twice the size each of its eigenvalues comes twice.
        SymmetricEigen eigen = SymmetricEigen.of(Matrix.of(2 * n, 2 * n, (i, j) -> twice(skew, i, j)));
        List<Complex> lambda = new ArrayList<>();
        List<Complex> p = new ArrayList<>();
        List<Complex> b = new ArrayList<>();
        List<List<Complex>> v = new ArrayList<>();
        for (int pair = n / 2 - 1; pair >= 0; pair--) { // ascending, so the negative half comes first
            int column = 2 * pair;
            List<Complex> vector = new ArrayList<>();
            Complex projected = Complex.ZERO;
            for (int i = 0; i < n; i++) {
                Complex entry = new Complex(
                        eigen.vectors().get(i, column), eigen.vectors().get(n + i, column));
                vector.add(entry);
                projected = projected.plus(entry.conjugate().times(rank[i]));
            }
            Complex phase = projected.times(1 / projected.abs());
            lambda.add(new Complex(REAL_PART, -eigen.values().get(column)));
            p.add(Complex.of(projected.abs()));
            b.add(Complex.of(projected.abs() * Math.sqrt(2))); // B = √2 P
            v.add(vector.stream().map(phase::times).toList());
        }
        return new NormalForm(lambda, p, b, v);
    }

    private static double twice(Matrix skew, int i, int j) {
        int n = skew.rows();
        if (i / n == j / n) {
            return 0;
        }
        return i < n ? -skew.get(i, j - n) : skew.get(i - n, j);
    }
}
