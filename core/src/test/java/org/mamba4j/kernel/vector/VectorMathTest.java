package org.mamba4j.kernel.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class VectorMathTest {
    @Test
    void powersOfTwoAreWithinTwoUnits() {
        assertAccurate(VectorMath::exp2, x -> Math.pow(2, x), -126, 127.99, 2);
        assertAccurate(VectorMath::exp2, x -> Math.pow(2, x), -1, 1, 2);
    }

    @Test
    void exponentialsAreWithinThreeUnits() {
        assertAccurate(VectorMath::exp, Math::exp, -87, 88, 3);
        assertAccurate(VectorMath::exp, Math::exp, -1, 1, 3);
    }

    @Test
    void softplusAndSigmoidAreWithinFourUnits() {
        assertAccurate(
                VectorMathTest::softplus,
                x -> x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)),
                -87,
                100,
                4);
        assertAccurate(VectorMathTest::sigmoid, x -> 1 / (1 + Math.exp(-x)), -87, 100, 4);
    }

    @Test
    void extremeArgumentsGiveLimits() {
        assertThat(at(VectorMath::exp2, 0)).isEqualTo(1);
        assertThat(at(VectorMath::exp2, -127)).isEqualTo(0);
        assertThat(at(VectorMath::exp2, -1e30f)).isEqualTo(0);
        assertThat(at(VectorMath::exp2, 128)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(at(VectorMath::exp, Float.NEGATIVE_INFINITY)).isEqualTo(0);
        assertThat(at(VectorMath::exp, -1000)).isEqualTo(0);
        assertThat(at(VectorMath::exp, 1000)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(at(VectorMath::exp, Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(at(VectorMathTest::softplus, -1000)).isEqualTo(0);
        assertThat(at(VectorMathTest::softplus, 1000)).isEqualTo(1000);
        assertThat(at(VectorMathTest::softplus, Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(at(VectorMathTest::sigmoid, -1000)).isEqualTo(0);
        assertThat(at(VectorMathTest::sigmoid, 1000)).isEqualTo(1);
        assertThat(at(VectorMath::exp, Float.NaN)).isNaN();
        assertThat(at(VectorMathTest::softplus, Float.NaN)).isNaN();
        assertThat(at(VectorMathTest::sigmoid, Float.NaN)).isNaN();
    }

    private static FloatVector softplus(FloatVector x) {
        return VectorMath.softplus(x, VectorMath.exp(x.abs().neg()));
    }

    private static FloatVector sigmoid(FloatVector x) {
        return VectorMath.sigmoid(x, VectorMath.exp(x.abs().neg()));
    }

    private static float at(UnaryOperator<FloatVector> function, float x) {
        return function.apply(Lanes.broadcast(x)).lane(0);
    }

    private static void assertAccurate(
            UnaryOperator<FloatVector> actual, DoubleUnaryOperator expected, double from, double to, double units) {
        int count = 40_000 / Lanes.COUNT;
        float[] x = new float[Lanes.COUNT];
        for (int i = 0; i < count; i++) {
            for (int lane = 0; lane < x.length; lane++) {
                x[lane] = (float) (from + (to - from) * (i * x.length + lane) / (count * (double) x.length));
            }
            float[] results =
                    actual.apply(FloatVector.fromArray(Lanes.FLOATS, x, 0)).toArray();
            for (int lane = 0; lane < x.length; lane++) {
                double exact = expected.applyAsDouble(x[lane]);
                assertThat(Math.abs(results[lane] - exact) / Math.ulp((float) exact))
                        .as("units of error at %s: %s for %s", x[lane], results[lane], exact)
                        .isLessThanOrEqualTo(units);
            }
        }
    }
}
