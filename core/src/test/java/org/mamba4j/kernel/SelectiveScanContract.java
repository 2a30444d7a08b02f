package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.mamba4j.kernel.Closeness.assertClose;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.kernel.ScanCase.Option;

/**
 * What every implementation of the selective scan must do, wherever it runs: agree with a float64 recurrence, outputs
 * and all gradients, for any sizes and any choice of optional inputs.
 */
public abstract class SelectiveScanContract {
    /** Allowed error, relative to the greatest magnitude of the array. */
    private static final double TOLERANCE = 1e-5;

    /**
     * Runs the case forward and backward in memory of its own and returns {@code y}, {@code lastState} and the gradients
     * {@code grad u}, {@code grad delta}, {@code grad a}, {@code grad b}, {@code grad c}, {@code grad d}, {@code grad
     * deltaBias}, {@code grad z} and {@code grad initialState}; those of absent inputs, except the last, are empty.
     */
    protected abstract Map<String, float[]> run(ScanCase scan);

    @Test
    void agreesForEveryChoiceOfOptionalInputs() {
        Random random = new Random(1);
        Option[] all = Option.values();
        for (int bits = 0; bits < 1 << all.length; bits++) {
            Set<Option> options = EnumSet.noneOf(Option.class);
            for (int i = 0; i < all.length; i++) {
                if ((bits >> i & 1) == 1) {
                    options.add(all[i]);
                }
            }
            check(ScanCase.random(random, 2, 37, 19, 5, options));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 127, 128, 129, 257})
    void agreesForAnyNumberOfChannels(int channels) {
        check(ScanCase.random(new Random(channels), 2, 11, channels, 3, ScanCase.ALL));
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 61, 63, 64, 65, 95, 96, 97, 127, 128, 129, 191, 193, 1021
            })
    void agreesForAnyLength(int length) {
        check(ScanCase.random(new Random(length), 2, length, 18, 4, ScanCase.ALL));
        check(ScanCase.random(new Random(length), 1, length, 5, 3, Set.of()));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 127, 128, 255, 256})
    void agreesForAnyNumberOfStates(int states) {
        check(ScanCase.random(new Random(states), 2, 67, 17, states, ScanCase.ALL));
    }

    @ParameterizedTest
    @CsvSource({"1, 4098, 17, 16", "2, 4098, 3, 2", "5, 130, 33, 16", "1, 70, 1536, 16", "0, 5, 4, 3", "3, 0, 0, 2"})
    void agreesForLargeAndEmptySizes(int batch, int length, int channels, int states) {
        check(ScanCase.random(new Random(length), batch, length, channels, states, ScanCase.ALL));
    }

    @Test
    void agreesForRandomSizesAndOptions() {
        long seed = System.nanoTime();
        System.out.println(getClass().getSimpleName() + ": seed " + seed);
        Random random = new Random(seed);
        for (int i = 0; i < 15; i++) {
            Set<Option> options = EnumSet.noneOf(Option.class);
            for (Option option : Option.values()) {
                if (random.nextInt(4) > 0) {
                    options.add(option);
                }
            }
            check(ScanCase.random(
                    random,
                    1 + random.nextInt(3),
                    random.nextInt(200),
                    1 + random.nextInt(70),
                    1 + random.nextInt(40),
                    options));
        }
    }

    @Test
    void agreesWhereTheExponentialsUnderAndOverflow() {
        ScanCase scan = ScanCase.random(new Random(7), 2, 40, 37, 5, ScanCase.ALL);
        float[] deltas = {-1000, -200, -104, -90, -30, -17, -8, 0, 8, 19.9f, 20.1f, 30, 88, 89, 200, 1000};
        float[] gates = {-1e30f, -200, -104, -89, -87, -30, 0, 30, 87, 200, 1e4f};
        for (int i = 0; i < scan.delta().length; i++) {
            scan.delta()[i] = deltas[i % deltas.length];
            scan.z()[i] = gates[i % gates.length];
        }
        check(scan);
    }

    @Test
    void agreesForGrowingStates() {
        // A positive A is legal, and a negative step size turns a negative A around.
        ScanCase scan = ScanCase.random(new Random(8), 1, 33, 20, 4, Set.of(Option.SKIP, Option.INITIAL_STATE));
        for (int i = 0; i < scan.delta().length; i++) {
            scan.delta()[i] *= i % 3 == 0 ? -1 : 1;
        }
        for (int i = 0; i < scan.a().length; i++) {
            scan.a()[i] = Math.max(-1, scan.a()[i]) * (i % 2 == 0 ? -1 : 1);
        }
        check(scan);
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void keepsBadValuesInTheirChannelAndAfterTheirStep(float bad) {
        ScanCase clean = ScanCase.random(new Random(9), 2, 70, 21, 6, ScanCase.ALL);
        ScanCase dirty = ScanCase.random(new Random(9), 2, 70, 21, 6, ScanCase.ALL);
        int step = 40;
        int channel = 18;
        dirty.u()[step * 21 + channel] = bad;
        float[] expected = get(run(clean), "y");
        float[] actual = get(run(dirty), "y");
        assertThat(actual[step * 21 + channel]).isNotFinite();
        for (int i = 0; i < actual.length; i++) {
            boolean reached = i < 70 * 21 && i % 21 == channel && i / 21 >= step;
            if (!reached) {
                assertThat(actual[i]).as("y[%d]", i).isEqualTo(expected[i]);
            }
        }
    }

    @Test
    void nanInAnyInputReachesTheOutput() {
        for (int input = 0; input < 6; input++) {
            ScanCase scan = ScanCase.random(new Random(10), 1, 20, 18, 4, ScanCase.ALL);
            List<float[]> inputs = List.of(scan.u(), scan.delta(), scan.a(), scan.b(), scan.c(), scan.z());
            inputs.get(input)[0] = Float.NaN;
            assertThat(get(run(scan), "y")[0])
                    .as("y with NaN in input %d", input)
                    .isNaN();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 31, 32, 33, 64, 100, 129, 130})
    void partsWithCarriedStateEqualTheWhole(int cut) {
        ScanCase whole = ScanCase.random(new Random(cut), 2, 130, 19, 5, ScanCase.ALL);
        Map<String, double[]> expected = ScanRecurrence.run(whole);
        // Forward from left to right, then backward from right to left, as a trainer over a long text would.
        float[] carried = get(run(whole.steps(0, cut, whole.initialState(), whole.gradLastState())), "lastState");
        Map<String, float[]> right = run(whole.steps(cut, 130, carried, whole.gradLastState()));
        Map<String, float[]> left = run(whole.steps(0, cut, whole.initialState(), get(right, "grad initialState")));
        Map<String, float[]> joined = new LinkedHashMap<>();
        for (String name : List.of("y", "grad u", "grad delta", "grad z")) {
            joined.put(name, concatenate(get(left, name), get(right, name), 2, cut * 19, (130 - cut) * 19));
        }
        for (String name : List.of("grad b", "grad c")) {
            joined.put(name, concatenate(get(left, name), get(right, name), 2, cut * 5, (130 - cut) * 5));
        }
        for (String name : List.of("grad a", "grad d", "grad deltaBias")) {
            float[] sum = get(left, name).clone();
            for (int i = 0; i < sum.length; i++) {
                sum[i] += get(right, name)[i];
            }
            joined.put(name, sum);
        }
        joined.put("lastState", get(right, "lastState"));
        joined.put("grad initialState", get(left, "grad initialState"));
        assertClose("cut at " + cut, joined, expected, TOLERANCE);
    }

    @Test
    void oneStepAtATimeEqualsTheWhole() {
        ScanCase whole = ScanCase.random(new Random(11), 2, 30, 37, 16, ScanCase.ALL);
        float[] state = whole.initialState();
        float[] y = new float[whole.u().length];
        for (int t = 0; t < 30; t++) {
            Map<String, float[]> step = run(whole.steps(t, t + 1, state, new float[0]));
            state = get(step, "lastState");
            for (int b = 0; b < 2; b++) {
                System.arraycopy(get(step, "y"), b * 37, y, (b * 30 + t) * 37, 37);
            }
        }
        assertClose("steps", y, ScanRecurrence.run(whole).getOrDefault("y", new double[0]), TOLERANCE);
    }

    @Test
    void theSameCaseGivesTheSameBits() {
        ScanCase scan = ScanCase.random(new Random(12), 3, 150, 300, 16, ScanCase.ALL);
        Map<String, float[]> first = run(scan);
        for (int i = 0; i < 5; i++) {
            run(scan).forEach((name, values) -> assertThat(values).as(name).isEqualTo(first.get(name)));
        }
    }

    @Test
    void batchItemsDoNotSeeEachOther() {
        ScanCase both = ScanCase.random(new Random(13), 2, 45, 20, 4, ScanCase.ALL);
        float[] before = get(run(both), "y");
        for (int i = 0; i < 45 * 20; i++) {
            both.u()[i] += 1;
        }
        float[] after = get(run(both), "y");
        for (int i = 45 * 20; i < after.length; i++) {
            assertThat(after[i]).isEqualTo(before[i]);
        }
        assertThat(after[0]).isNotEqualTo(before[0]);
    }

    @ParameterizedTest
    @MethodSource("goldenCases")
    void agreesWithGoldenVectors(GoldenScan golden) {
        Map<String, float[]> actual = run(golden.scan());
        assertThat(golden.expected()).hasSizeGreaterThanOrEqualTo(8);
        golden.expected()
                .forEach((name, values) -> assertClose(golden + ": " + name, get(actual, name), values, TOLERANCE));
    }

    static List<GoldenScan> goldenCases() {
        return GoldenScan.all();
    }

    private void check(ScanCase scan) {
        assertClose(scan.toString(), run(scan), ScanRecurrence.run(scan), TOLERANCE);
    }

    static float[] get(Map<String, float[]> results, String name) {
        assertThat(results).containsKey(name);
        return results.getOrDefault(name, new float[0]);
    }

    private static float[] concatenate(float[] left, float[] right, int batch, int leftSize, int rightSize) {
        List<Float> joined = new ArrayList<>();
        for (int b = 0; b < batch; b++) {
            for (int i = 0; i < leftSize; i++) {
                joined.add(left[b * leftSize + i]);
            }
            for (int i = 0; i < rightSize; i++) {
                joined.add(right[b * rightSize + i]);
            }
        }
        float[] array = new float[joined.size()];
        for (int i = 0; i < array.length; i++) {
            array[i] = joined.get(i);
        }
        return array;
    }
}
