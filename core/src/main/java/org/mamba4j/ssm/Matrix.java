package org.mamba4j.ssm;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A dense matrix of float64; immutable. */
public final class Matrix {
    private static final int TERMS = 18;
    private static final double SERIES_NORM = 0.5;

    private final double[][] rows;
    private final int columns;

    private Matrix(double[][] rows, int columns) {
        this.rows = rows;
        this.columns = columns;
    }

    /** The value at a place. */
    @FunctionalInterface
    public interface Entry {
        double at(int row, int column);
    }

    /** rows × columns, entry by entry. */
    public static Matrix of(int rows, int columns, Entry entry) {
        double[][] all = new double[rows][columns];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                all[i][j] = entry.at(i, j);
            }
        }
        return new Matrix(all, columns);
    }

    /** Ones on the diagonal. */
    public static Matrix identity(int size) {
        return of(size, size, (i, j) -> i == j ? 1 : 0);
    }

    /** One column. */
    public static Matrix column(double... values) {
        return of(values.length, 1, (i, j) -> values[i]);
    }

    /** One row. */
    public static Matrix row(double... values) {
        return of(1, values.length, (i, j) -> values[j]);
    }

    /** Number of rows. */
    public int rows() {
        return rows.length;
    }

    /** Number of columns. */
    public int columns() {
        return columns;
    }

    /** The value at a place, counted from 0. */
    public double get(int row, int column) {
        return rows[row][column];
    }

    /** A copy of all values, row after row. */
    public double[] values() {
        return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    }

    /** this + factor · other. */
    public Matrix plus(double factor, Matrix other) {
        require(rows() == other.rows() && columns == other.columns, "+", other);
        return of(rows(), columns, (i, j) -> rows[i][j] + factor * other.rows[i][j]);
    }

    /** factor · this. */
    public Matrix times(double factor) {
        return of(rows(), columns, (i, j) -> factor * rows[i][j]);
    }

    /** this · other. */
    public Matrix times(Matrix other) {
        require(columns == other.rows(), "·", other);
        double[][] product = new double[rows()][other.columns];
        for (int i = 0; i < rows(); i++) {
            for (int k = 0; k < columns; k++) {
                double factor = rows[i][k];
                for (int j = 0; j < other.columns; j++) {
                    product[i][j] += factor * other.rows[k][j];
                }
            }
        }
        return new Matrix(product, other.columns);
    }

    /** this · … · this; the identity for an exponent of 0. */
    public Matrix power(int exponent) {
        Matrix result = identity(rows());
        Matrix square = this;
        for (int rest = exponent; rest > 0; rest >>= 1) {
            result = (rest & 1) == 1 ? result.times(square) : result;
            square = square.times(square);
        }
        return result;
    }

    /** Rows and columns exchanged. */
    public Matrix transpose() {
        return of(columns, rows(), (i, j) -> rows[j][i]);
    }

    /** Rows {@code from} (inclusive) to {@code to} of columns {@code left} to {@code right}. */
    public Matrix part(int from, int to, int left, int right) {
        return of(to - from, right - left, (i, j) -> rows[from + i][left + j]);
    }

    /**
     * X with this · X = {@code right}, by elimination with row exchanges.
     *
     * @throws ArithmeticException if this is singular
     */
    public Matrix solve(Matrix right) {
        require(rows() == columns && rows() == right.rows(), "\\", right);
        int n = rows();
        double[][] a = copy(this);
        double[][] x = copy(right);
        for (int step = 0; step < n; step++) {
            int pivot = step;
            for (int i = step + 1; i < n; i++) {
                pivot = Math.abs(a[i][step]) > Math.abs(a[pivot][step]) ? i : pivot;
            }
            if (a[pivot][step] == 0) {
                throw new ArithmeticException("a singular " + n + " × " + n + " matrix");
            }
            exchange(a, step, pivot);
            exchange(x, step, pivot);
            for (int i = step + 1; i < n; i++) {
                double factor = a[i][step] / a[step][step];
                subtract(a[i], factor, a[step]);
                subtract(x[i], factor, x[step]);
            }
        }
        for (int i = n - 1; i >= 0; i--) {
            for (int k = i + 1; k < n; k++) {
                subtract(x[i], a[i][k], x[k]);
            }
            for (int j = 0; j < right.columns; j++) {
                x[i][j] /= a[i][i];
            }
        }
        return new Matrix(x, right.columns);
    }

    /**
     * e to the power of this: Σ Aᵏ / k! of a matrix halved until its norm is at most a half, where {@value #TERMS} terms are
     * exact to the last digit, then squared as often as it was halved.
     */
    public Matrix exp() {
        require(rows() == columns, "exp", this);
        int halvings = Math.max(0, (int) Math.ceil(Math.log(norm() / SERIES_NORM) / Math.log(2)));
        Matrix small = times(Math.scalb(1.0, -halvings));
        Matrix sum = identity(rows());
        for (int k = TERMS; k > 0; k--) { // Horner: 1 + A (1 + A/2 (1 + A/3 …))
            sum = identity(rows()).plus(1.0 / k, small.times(sum));
        }
        for (int i = 0; i < halvings; i++) {
            sum = sum.times(sum);
        }
        return sum;
    }

    /** The greatest sum of absolute values in a row. */
    public double norm() {
        return Arrays.stream(rows)
                .mapToDouble(row -> Arrays.stream(row).map(Math::abs).sum())
                .max()
                .orElse(0);
    }

    private static double[][] copy(Matrix matrix) {
        return Arrays.stream(matrix.rows).map(double[]::clone).toArray(double[][]::new);
    }

    private static void exchange(double[][] rows, int one, int other) {
        double[] row = rows[one];
        rows[one] = rows[other];
        rows[other] = row;
    }

    private static void subtract(double[] row, double factor, double[] other) {
        for (int j = 0; j < row.length; j++) {
            row[j] -= factor * other[j];
        }
    }

    private void require(boolean fits, String operation, Matrix other) {
        if (!fits) {
            throw new IllegalArgumentException("(" + rows() + ", " + columns + ") " + operation + " (" + other.rows()
                    + ", " + other.columns + ")");
        }
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Matrix matrix && Arrays.deepEquals(rows, matrix.rows);
    }

    @Override
    public int hashCode() {
        return Arrays.deepHashCode(rows);
    }

    @Override
    public String toString() {
        return Arrays.deepToString(rows);
    }
}
