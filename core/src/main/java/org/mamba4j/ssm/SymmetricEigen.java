package org.mamba4j.ssm;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Eigenvalues and -vectors of a real symmetric matrix by Jacobi's rotations: each makes one entry off the diagonal zero, and
 * passing over all of them a few times makes all so small that they vanish. Slower than others, and exact to the last
 * digits.
 *
 * @param values ascending (N)
 * @param vectors in the columns, orthonormal (N, N)
 */
record SymmetricEigen(List<Double> values, Matrix vectors) {
    private static final int SWEEPS = 60;
    private static final double ENOUGH = 1e-30;

    static SymmetricEigen of(Matrix matrix) {
        int n = matrix.rows();
        double[][] a = new double[n][n];
        double[][] v = new double[n][n];
        double size = 0;
        for (int i = 0; i < n; i++) {
            v[i][i] = 1;
            for (int j = 0; j < n; j++) {
                a[i][j] = matrix.get(i, j);
                size += a[i][j] * a[i][j];
            }
        }
        for (int sweep = 0; sweep < SWEEPS && offDiagonal(a) > ENOUGH * size; sweep++) {
            for (int p = 0; p < n; p++) {
                for (int q = p + 1; q < n; q++) {
                    if (a[p][q] != 0) {
                        rotate(a, v, p, q);
                    }
                }
            }
        }
        List<Integer> order = IntStream.range(0, n)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> a[i][i]))
                .toList();
        return new SymmetricEigen(
                order.stream().map(i -> a[i][i]).toList(), Matrix.of(n, n, (i, j) -> v[i][order.get(j)]));
    }

    private static double offDiagonal(double[][] a) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < i; j++) {
                sum += 2 * a[i][j] * a[i][j];
            }
        }
        return sum;
    }

    private static void rotate(double[][] a, double[][] v, int p, int q) {
        double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        double tangent = Math.copySign(1, theta) / (Math.abs(theta) + Math.hypot(theta, 1));
        double cosine = 1 / Math.hypot(tangent, 1);
        double sine = tangent * cosine;
        for (int k = 0; k < a.length; k++) {
            double kp = a[k][p];
            a[k][p] = cosine * kp - sine * a[k][q];
            a[k][q] = sine * kp + cosine * a[k][q];
        }
        for (int k = 0; k < a.length; k++) {
            double pk = a[p][k];
            a[p][k] = cosine * pk - sine * a[q][k];
            a[q][k] = sine * pk + cosine * a[q][k];
        }
        for (double[] row : v) {
            double left = row[p];
            row[p] = cosine * left - sine * row[q];
            row[q] = sine * left + cosine * row[q];
        }
    }
}
