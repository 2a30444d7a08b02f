package org.mamba4j.ssm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.TestSeed;

class MatrixTest {
    private final long seed = TestSeed.of("MatrixTest");
    private final SplittableRandom random = new SplittableRandom(seed);

    private Matrix random(int rows, int columns, double size) {
        return Matrix.of(rows, columns, (i, j) -> (2 * random.nextDouble() - 1) * size);
    }

    private void assertEqual(Matrix actual, Matrix expected, double relative) {
        assertThat(actual.plus(-1, expected).norm())
                .as("seed %d", seed)
                .isLessThan(relative * Math.max(1, expected.norm()));
    }

    @ParameterizedTest
    @ValueSource(doubles = {1e-9, 0.1, 0.5, 0.51, 3, 40})
    void anExponentialOfARotationAndADecay(double size) {
        Matrix turn = Matrix.of(2, 2, (i, j) -> i == j ? -0.1 * size : i < j ? -size : size);
        double decay = Math.exp(-0.1 * size);
        Matrix expected =
                Matrix.of(2, 2, (i, j) -> decay * (i == j ? Math.cos(size) : i < j ? -Math.sin(size) : Math.sin(size)));
        assertEqual(turn.exp(), expected, 1e-13);
    }

    @Test
    void exponentials() {
        assertThat(Matrix.of(3, 3, (i, j) -> 0).exp()).isEqualTo(Matrix.identity(3));
        Matrix nilpotent = Matrix.of(3, 3, (i, j) -> j == i + 1 ? 2 : 0);
        assertEqual(nilpotent.exp(), Matrix.of(3, 3, (i, j) -> j < i ? 0 : j == i ? 1 : 2), 1e-15);
        Matrix any = random(6, 6, 1);
        assertEqual(any.exp().times(any.times(-1).exp()), Matrix.identity(6), 1e-11);
        assertEqual(any.times(2).exp(), any.exp().times(any.exp()), 1e-12);
        assertEqual(any.transpose().exp(), any.exp().transpose(), 1e-13);
    }

    @Test
    void equationsAreSolved() {
        Matrix a = random(9, 9, 3);
        Matrix x = random(9, 2, 1);
        assertEqual(a.solve(a.times(x)), x, 1e-9);
        Matrix exchanged = Matrix.of(2, 2, (i, j) -> i == j ? 0 : 1); // no pivot without an exchange
        assertEqual(exchanged.solve(Matrix.column(1, 2)), Matrix.column(2, 1), 1e-15);
        assertThatThrownBy(() -> Matrix.of(2, 2, (i, j) -> 1).solve(Matrix.column(1, 2)))
                .isInstanceOf(ArithmeticException.class);
        assertThatThrownBy(() -> a.times(Matrix.identity(3)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("(9, 9) · (3, 3)");
    }

    @Test
    void powers() {
        Matrix a = random(4, 4, 0.7);
        Matrix expected = Matrix.identity(4);
        for (int i = 0; i < 11; i++) {
            assertEqual(a.power(i), expected, 1e-12);
            expected = expected.times(a);
        }
    }

    @Test
    void eigenvectorsOfASymmetricMatrix() {
        Matrix any = random(12, 12, 1);
        Matrix symmetric = any.plus(1, any.transpose());
        SymmetricEigen eigen = SymmetricEigen.of(symmetric);
        Matrix diagonal = Matrix.of(12, 12, (i, j) -> i == j ? eigen.values().get(i) : 0);
        assertEqual(symmetric.times(eigen.vectors()), eigen.vectors().times(diagonal), 1e-12);
        assertEqual(eigen.vectors().transpose().times(eigen.vectors()), Matrix.identity(12), 1e-12);
        assertThat(eigen.values()).isSorted();
    }

    /** A and B are those of the polynomials; in the other basis they are the same system. */
    @ParameterizedTest
    @ValueSource(ints = {2, 4, 8, 32})
    void hippoInItsNormalFormIsTheSameSystem(int n) {
        Hippo.NormalForm form = Hippo.normalForm(n);
        Matrix c = random(1, n, 1);
        double[] read = c.values();
        ContinuousSystem dense = new ContinuousSystem(Hippo.a(n), Hippo.b(n), c, 0);
        ContinuousSystem low = ContinuousSystem.ofConjugatePairs(
                form.lambda(),
                form.p(),
                form.b(),
                form.v().stream()
                        .map(vector -> {
                            Complex sum = Complex.ZERO;
                            for (int i = 0; i < n; i++) {
                                sum = sum.plus(vector.get(i).times(read[i]));
                            }
                            return sum;
                        })
                        .toList(),
                0);
        for (Discretisation rule : new Discretisation[] {Discretisation.BILINEAR, Discretisation.ZERO_ORDER_HOLD}) {
            double[] expected = rule.of(dense, 0.05).kernel(100);
            double[] actual = rule.of(low, 0.05).kernel(100);
            for (int l = 0; l < 100; l++) {
                assertThat(actual[l]).as("seed %d", seed).isCloseTo(expected[l], within(1e-8));
            }
        }
        assertThat(form.lambda()).allSatisfy(lambda -> {
            assertThat(lambda.re()).isEqualTo(-0.5);
            assertThat(lambda.im()).isPositive();
        });
    }

    @Test
    void hippo() {
        assertThat(Hippo.a(3).values())
                .containsExactly(
                        new double[] {-1, 0, 0, -Math.sqrt(3), -2, 0, -Math.sqrt(5), -Math.sqrt(15), -3},
                        within(1e-15));
        assertThat(Hippo.b(3).values()).containsExactly(new double[] {1, Math.sqrt(3), Math.sqrt(5)}, within(1e-15));
        assertThatThrownBy(() -> Hippo.normalForm(5))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("must be even");
    }
}
