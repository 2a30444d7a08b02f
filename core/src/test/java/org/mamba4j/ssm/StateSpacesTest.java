package org.mamba4j.ssm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleUnaryOperator;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.TestSeed;

/** Continuous systems, what becomes of them in steps, and both views of the result. */
class StateSpacesTest {
    private static final Offset<Double> EXACT = within(1e-8);

    private final long seed = TestSeed.of("StateSpacesTest");
    private final SplittableRandom random = new SplittableRandom(seed);

    private double[] numbers(int count) {
        return random.doubles(count, -1, 1).toArray();
    }

    private Complex complex(double re) {
        return new Complex(re, 6 * random.nextDouble() - 3);
    }

    /** Stable, with modes that say something to each other. */
    private ContinuousSystem system(int pairs) {
        List<Complex> lambda = new ArrayList<>();
        List<Complex> p = new ArrayList<>();
        List<Complex> b = new ArrayList<>();
        List<Complex> c = new ArrayList<>();
        for (int m = 0; m < pairs; m++) {
            lambda.add(complex(-0.2 - random.nextDouble()));
            p.add(complex(random.nextDouble()).times(0.3));
            b.add(complex(random.nextDouble()));
            c.add(complex(random.nextDouble()));
        }
        return ContinuousSystem.ofConjugatePairs(lambda, p, b, c, 0.7);
    }

    private void assertEqual(String what, double[] actual, double[] expected) {
        double greatest = 0;
        for (int t = 0; t < expected.length; t++) {
            assertThat(actual[t]).as("%s, seed %d, at %d", what, seed, t).isCloseTo(expected[t], EXACT);
            greatest = Math.max(greatest, Math.abs(expected[t]));
        }
        assertThat(greatest).as(what).isGreaterThan(1e-3); // else nothing was compared
        assertThat(actual).hasSameSizeAs(expected);
    }

    /** Output at the end of each step, the system solved in {@code parts} steps of Runge and Kutta for each. */
    private static double[] integrate(
            ContinuousSystem system, DoubleUnaryOperator u, double step, int steps, int parts) {
        Matrix x = system.b().times(0.0);
        double[] y = new double[steps];
        double h = step / parts;
        for (int i = 0; i < steps * parts; i++) {
            double t = i * h;
            Matrix k1 = slope(system, x, u.applyAsDouble(t + 1e-12));
            Matrix k2 = slope(system, x.plus(h / 2, k1), u.applyAsDouble(t + h / 2));
            Matrix k3 = slope(system, x.plus(h / 2, k2), u.applyAsDouble(t + h / 2));
            Matrix k4 = slope(system, x.plus(h, k3), u.applyAsDouble(t + h - 1e-12));
            x = x.plus(h / 6, k1).plus(h / 3, k2).plus(h / 3, k3).plus(h / 6, k4);
            if ((i + 1) % parts == 0) {
                y[i / parts] = system.c().times(x).get(0, 0) + system.d() * u.applyAsDouble(t + h - 1e-12);
            }
        }
        return y;
    }

    private static Matrix slope(ContinuousSystem system, Matrix x, double u) {
        return system.a().times(x).plus(u, system.b());
    }

    @ParameterizedTest
    @EnumSource
    void bothViewsAreTheSame(Discretisation rule) {
        DiscreteSystem discrete = rule.of(system(3), 0.1);
        double[] u = numbers(150);
        double[] recurrent = discrete.apply(u);
        assertEqual("convolution", discrete.convolve(u), recurrent);
        double[] sums = Convolution.causalBySums(u, discrete.kernel(u.length));
        for (int t = 0; t < u.length; t++) {
            sums[t] += discrete.d() * u[t];
        }
        assertEqual("sums", sums, recurrent);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 31, 32, 33, 100})
    void aConvolutionByFourierTransformIsItsSums(int length) {
        double[] u = numbers(length);
        double[] kernel = numbers(length);
        assertEqual("convolution", Convolution.causal(u, kernel), Convolution.causalBySums(u, kernel));
    }

    @Test
    void zeroOrderHoldIsTheSolutionForInputsThatStay() {
        ContinuousSystem system = system(2);
        double[] u = numbers(40);
        double step = 0.3;
        double[] solved = integrate(system, t -> u[Math.min(39, (int) (t / step))], step, 40, 200);
        assertEqual(
                "zero-order hold",
                Discretisation.ZERO_ORDER_HOLD.of(system, step).apply(u),
                solved);
    }

    /** How the error at a time falls when steps are halved: by 2 to the power of the order. */
    @Test
    void rulesHaveTheirOrders() {
        ContinuousSystem system = ContinuousSystem.ofConjugatePairs(
                List.of(new Complex(-0.5, 2)),
                List.of(new Complex(0.2, 0)),
                List.of(Complex.ONE),
                List.of(Complex.ONE),
                0);
        double end = 4;
        double exact = integrate(system, Math::cos, end, 1, 20_000)[0];
        for (Discretisation rule : Discretisation.values()) {
            if (rule == Discretisation.DIRAC) {
                continue; // another input: impulses, not a curve
            }
            double coarse = error(rule, system, 2000, end, exact);
            double fine = error(rule, system, 4000, end, exact);
            // A bilinear step as S4 has it sees one input a step, so of its two orders the input leaves one.
            assertThat(coarse / fine).as(rule.toString()).isBetween(1.9, 2.1);
        }
    }

    private static double error(Discretisation rule, ContinuousSystem system, int steps, double end, double exact) {
        double step = end / steps;
        double[] u = new double[steps];
        for (int t = 0; t < steps; t++) {
            u[t] = Math.cos((t + 1) * step);
        }
        return Math.abs(rule.of(system, step).apply(u)[steps - 1] - exact);
    }

    @Test
    void bilinearDecaysToSecondOrder() {
        Complex a = new Complex(-0.4, 2);
        double coarse = a.times(0.02)
                .exp()
                .minus(Discretisation.BILINEAR.of(a, 0.02).decay())
                .abs();
        double fine = a.times(0.01)
                .exp()
                .minus(Discretisation.BILINEAR.of(a, 0.01).decay())
                .abs();
        assertThat(coarse / fine).isBetween(7.5, 8.5); // of one step: third order
    }

    @ParameterizedTest
    @EnumSource
    void aModeIsADiagonalSystem(Discretisation rule) {
        Complex a = complex(-0.3);
        Complex b = complex(0.4);
        Complex c = complex(-1);
        ContinuousSystem pair =
                ContinuousSystem.ofConjugatePairs(List.of(a), List.of(Complex.ZERO), List.of(b), List.of(c), 0);
        Discretisation.Mode mode = rule.of(a, 0.2);
        double[] kernel = new double[30];
        Complex x = mode.input().times(b);
        for (int l = 0; l < kernel.length; l++) {
            kernel[l] = 2 * c.times(x).re();
            x = mode.decay().times(x);
        }
        assertEqual("kernel", kernel, rule.of(pair, 0.2).kernel(kernel.length));
    }

    @Test
    void whatDecaysStaysStableButForEulersForwardSteps() {
        Complex fast = Complex.of(-30);
        for (Discretisation rule : Discretisation.values()) {
            double decay = rule.of(fast, 0.1).decay().abs();
            if (rule == Discretisation.FORWARD_EULER) {
                assertThat(decay).isEqualTo(2, within(1e-12));
            } else {
                assertThat(decay).as(rule.toString()).isLessThan(1);
            }
        }
    }

    @Test
    void aZeroOrderHoldOfASystemThatOnlySums() {
        ContinuousSystem sum = new ContinuousSystem(Matrix.column(0), Matrix.column(1), Matrix.row(1), 0);
        double[] y = Discretisation.ZERO_ORDER_HOLD.of(sum, 0.5).apply(new double[] {1, 2, 3});
        assertThat(y).containsExactly(new double[] {0.5, 1.5, 3}, within(1e-12));
    }

    @ParameterizedTest
    @EnumSource
    void aTimeInvariantSystemIsLinearAndTimeInvariant(Discretisation rule) {
        DiscreteSystem system = rule.of(system(2), 0.1);
        double[] u = numbers(60);
        double[] v = numbers(60);
        assertThat(system.linearityDefect(u, v, 2.5)).as("seed %d", seed).isLessThan(1e-8);
        assertThat(system.timeInvarianceDefect(u, v)).as("seed %d", seed).isLessThan(1e-8);
    }

    @ParameterizedTest
    @EnumSource
    void aSelectiveSystemIsNeither(Discretisation rule) {
        if (rule == Discretisation.FORWARD_EULER) {
            return; // its steps may grow without bound
        }
        SelectiveSystem selective = new SelectiveSystem(
                List.of(Complex.of(-1), Complex.of(-2)),
                u -> SelectiveSystem.softplus(3 * u),
                (n, u) -> Complex.of(1 + n * u),
                (n, u) -> Complex.of(u - n),
                rule);
        // That it is neither says that there are sequences which show it; a single pair may show little.
        double linearity = 0;
        double timeInvariance = 0;
        for (int i = 0; i < 20; i++) {
            double[] u = numbers(60);
            double[] v = numbers(60);
            linearity = Math.max(linearity, selective.linearityDefect(u, v, 2.5));
            timeInvariance = Math.max(timeInvariance, selective.timeInvarianceDefect(u, v));
        }
        assertThat(linearity).as("seed %d", seed).isGreaterThan(0.01);
        assertThat(timeInvariance).as("seed %d", seed).isGreaterThan(0.01);
    }

    @Test
    void aSelectiveSystemThatChoosesNothingIsTimeInvariant() {
        SelectiveSystem constant = new SelectiveSystem(
                List.of(Complex.of(-1), new Complex(-0.5, 2)),
                u -> 0.2,
                (n, u) -> Complex.ONE,
                (n, u) -> Complex.of(n + 1),
                Discretisation.ZERO_ORDER_HOLD);
        double[] u = numbers(60);
        assertThat(constant.linearityDefect(u, numbers(60), 2.5)).isLessThan(1e-8);
        assertThat(constant.timeInvarianceDefect(u, numbers(60))).isLessThan(1e-8);
    }

    /** Theorem 1 of the Mamba paper holds for the rule of its text. */
    @Test
    void aStateUnderZeroOrderHoldIsAGate() {
        double[] u = random.doubles(200, -4, 4).toArray();
        double weight = 1.3;
        double bias = -0.4;
        double[] h = new double[u.length];
        double before = 0;
        for (int t = 0; t < u.length; t++) {
            double g = 1 / (1 + Math.exp(-(weight * u[t] + bias)));
            before = (1 - g) * before + g * u[t];
            h[t] = before;
        }
        assertEqual(
                "gate",
                SelectiveSystem.gate(weight, bias, Discretisation.ZERO_ORDER_HOLD)
                        .apply(u),
                h);
        double[] mamba = SelectiveSystem.gate(weight, bias, Discretisation.EXPONENTIAL_EULER)
                .apply(u);
        double greatest = 0;
        for (int t = 0; t < u.length; t++) {
            greatest = Math.max(greatest, Math.abs(mamba[t] - h[t]));
        }
        assertThat(greatest).as("seed %d", seed).isGreaterThan(1); // it does not hold for the rule of its code
    }

    @Test
    void aGateThatIsNearlyClosedIsTheSameUnderBothRules() {
        double[] u = numbers(100);
        double[] one =
                SelectiveSystem.gate(1, -12, Discretisation.ZERO_ORDER_HOLD).apply(u);
        double[] other =
                SelectiveSystem.gate(1, -12, Discretisation.EXPONENTIAL_EULER).apply(u);
        for (int t = 0; t < u.length; t++) {
            assertThat(other[t]).isCloseTo(one[t], within(1e-8));
        }
    }

    @Test
    void shapesMustFit() {
        Matrix two = Matrix.identity(2);
        assertThatThrownBy(() -> new ContinuousSystem(two, Matrix.column(1), Matrix.row(1, 2), 0))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("A (2, 2), B (1, 1)");
        assertThatThrownBy(() -> Convolution.causal(new double[3], new double[2]))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
