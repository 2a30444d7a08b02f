package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;

/** How tests compare float32 results with float64 ones: by the error relative to the greatest expected magnitude. */
public final class Closeness {
    private Closeness() {}

    /** Asserts that every expected array is there, of its size, and within {@code tolerance}. */
    public static void assertClose(
            String what, Map<String, float[]> actual, Map<String, double[]> expected, double tolerance) {
        assertThat(actual.keySet()).as(what).isEqualTo(expected.keySet());
        expected.forEach((name, values) ->
                assertClose(what + ": " + name, actual.getOrDefault(name, new float[0]), values, tolerance));
    }

    public static void assertClose(String what, float[] actual, double[] expected, double tolerance) {
        double scale = 0;
        for (double value : expected) {
            scale = Math.max(scale, Math.abs(value));
        }
        assertClose(what, actual, expected, scale, tolerance);
    }

    static void assertClose(String what, float[] actual, double[] expected, double scale, double tolerance) {
        assertThat(actual).as(what).hasSize(expected.length);
        for (int i = 0; i < expected.length; i++) {
            double error = Math.abs(actual[i] - expected[i]);
            if (!(error <= tolerance * scale)) {
                throw new AssertionError("%s[%d] is %s, expected %s; error %.3g of the scale %.3g, allowed %.1g"
                        .formatted(what, i, actual[i], expected[i], error / scale, scale, tolerance));
            }
        }
    }
}
