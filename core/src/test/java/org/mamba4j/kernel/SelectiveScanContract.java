package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.TestSeed;
import org.mamba4j.kernel.ScanCase.Option;

/**
 * What every implementation of the selective scan must do, wherever it runs: agree with a float64 recurrence, outputs
 * and all gradients, for any sizes and any choice of optional inputs.
 */
public abstract class SelectiveScanContract {
    /**
     * Runs the case forward and backward in memory of its own and returns {@code y}, {@code lastState} and the gradients
     * {@code grad u}, {@code grad delta}, {@code grad a}, {@code grad b}, {@code grad c}, {@code grad d}, {@code grad
     * deltaBias}, {@code grad z} and {@code grad initialState}; those of absent inputs, except the last, are empty.
     */
    protected abstract Map<String, float[]> run(ScanCase scan);

    /** Of {@code wanted}, what the implementation has. */
    protected abstract Set<Option> options(Set<Option> wanted);

    /** The number of states to test in the place of {@code usual}, for kernels that are compiled for each. */
    protected int states(int usual) {
        return usual;
    }

    /** {@code scan} as the implementation is given it: itself, or with values rounded to its types. */
    protected ScanCase given(ScanCase scan) {
        return scan;
    }

    /** How results are held to what is right. */
    protected Comparison comparison() {
        return Comparison.USUAL;
    }

    private ScanCase random(Random random, int batch, int length, int channels, int usualStates, Set<Option> options) {
        return given(ScanCase.random(random, batch, length, channels, states(usualStates), options(options)));
    }

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
            if (options(options).equals(options)) {
                check(random(random, 2, 37, 19, 5, options));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 127, 128, 129, 257})
    void agreesForAnyNumberOfChannels(int channels) {
        check(random(new Random(channels), 2, 11, channels, 3, ScanCase.ALL));
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 61, 63, 64, 65, 95, 96, 97, 127, 128, 129, 191, 193, 1021
            })
    void agreesForAnyLength(int length) {
        check(random(new Random(length), 2, length, 18, 4, ScanCase.ALL));
        check(random(new Random(length), 1, length, 5, 3, Set.of()));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 127, 128, 255, 256})
    void agreesForAnyNumberOfStates(int states) {
        check(random(new Random(states), 2, 67, 17, states, ScanCase.ALL));
    }

    @ParameterizedTest
    @CsvSource({"1, 4098, 17, 16", "2, 4098, 3, 2", "5, 130, 33, 16", "1, 70, 1536, 16", "0, 5, 4, 3", "3, 0, 0, 2"})
    void agreesForLargeAndEmptySizes(int batch, int length, int channels, int states) {
        check(random(new Random(length), batch, length, channels, states, ScanCase.ALL));
    }

    @Test
    void agreesForRandomSizesAndOptions() {
        Random random = new Random(TestSeed.of(getClass().getSimpleName()));
        for (int i = 0; i < 15; i++) {
            Set<Option> options = EnumSet.noneOf(Option.class);
            for (Option option : Option.values()) {
                if (random.nextInt(4) > 0) {
                    options.add(option);
                }
            }
            check(random(
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
        ScanCase scan = random(new Random(7), 2, 40, 37, 5, ScanCase.ALL);
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
        ScanCase scan = random(new Random(8), 1, 33, 20, 4, Set.of(Option.SKIP, Option.INITIAL_STATE));
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
        ScanCase clean = random(new Random(9), 2, 70, 21, 6, ScanCase.ALL);
        ScanCase dirty = random(new Random(9), 2, 70, 21, 6, ScanCase.ALL);
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
            ScanCase scan = random(new Random(10), 1, 20, 18, 4, ScanCase.ALL);
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
        ScanCase whole = random(new Random(cut), 2, 130, 19, 5, ScanCase.ALL);
        Map<String, ExactSums> expected = ScanRecurrence.run(whole);
        // Forward from left to right, then backward from right to left, as a trainer over a long text would.
        float[] carried = get(run(whole.steps(0, cut, whole.initialState(), whole.gradLastState())), "lastState");
        Map<String, float[]> right = run(whole.steps(cut, 130, carried, whole.gradLastState()));
        boolean differentiable = whole.gradLastState().length > 0;
        float[] gradCarried = differentiable ? get(right, "grad initialState") : new float[0];
        Map<String, float[]> left = run(whole.steps(0, cut, whole.initialState(), gradCarried));
        Map<String, float[]> joined = new LinkedHashMap<>();
        joined.put("lastState", get(right, "lastState"));
        if (!differentiable) { // the gradients of the two parts are not those of the whole
            joined.put("y", concatenate(get(left, "y"), get(right, "y"), 2, cut * 19, (130 - cut) * 19));
            expected.keySet().retainAll(joined.keySet());
            compareAll("cut at " + cut, joined, expected);
            return;
        }
        for (String name : List.of("y", "grad u", "grad delta", "grad z")) {
            joined.put(name, concatenate(get(left, name), get(right, name), 2, cut * 19, (130 - cut) * 19));
        }
        for (String name : List.of("grad b", "grad c")) {
            joined.put(
                    name,
                    concatenate(
                            get(left, name), get(right, name), 2, cut * whole.states(), (130 - cut) * whole.states()));
        }
        for (String name : List.of("grad a", "grad d", "grad deltaBias")) {
            float[] sum = get(left, name).clone();
            for (int i = 0; i < sum.length; i++) {
                sum[i] += get(right, name)[i];
            }
            joined.put(name, sum);
        }
        joined.put("grad initialState", get(left, "grad initialState"));
        compareAll("cut at " + cut, joined, expected);
    }

    @Test
    void oneStepAtATimeEqualsTheWhole() {
        ScanCase whole = random(new Random(11), 2, 30, 37, 16, ScanCase.ALL);
        float[] state = whole.initialState();
        float[] y = new float[whole.u().length];
        for (int t = 0; t < 30; t++) {
            Map<String, float[]> step = run(whole.steps(t, t + 1, state, new float[0]));
            state = get(step, "lastState");
            for (int b = 0; b < 2; b++) {
                System.arraycopy(get(step, "y"), b * 37, y, (b * 30 + t) * 37, 37);
            }
        }
        comparison().check("steps", "y", y, get(ScanRecurrence.run(whole), "y"));
    }

    @Test
    void theSameCaseGivesTheSameBits() {
        ScanCase scan = random(new Random(12), 3, 150, 300, 16, ScanCase.ALL);
        Map<String, float[]> first = run(scan);
        for (int i = 0; i < 5; i++) {
            run(scan).forEach((name, values) -> assertThat(values).as(name).isEqualTo(first.get(name)));
        }
    }

    @Test
    void batchItemsDoNotSeeEachOther() {
        ScanCase both = random(new Random(13), 2, 45, 20, 4, ScanCase.ALL);
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

    /** 130 steps: more than a kernel's tiles, so that some documents lie across their edges. */
    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
    void aDocumentOfBadValuesStaysAlone(float bad) {
        assumeTrue(options(ScanCase.ALL).contains(Option.RESETS), "skipped: takes one document a sequence");
        int length = 130;
        ScanCase clean = random(new Random(14), 2, length, 19, 5, ScanCase.ALL);
        ScanCase spoilt = random(new Random(14), 2, length, 19, 5, ScanCase.ALL);
        Packed packed = new Packed(2, length);
        packed.resets(clean.resets());
        packed.resets(spoilt.resets());
        for (float[] rows : List.of(spoilt.u(), spoilt.delta(), spoilt.b(), spoilt.c(), spoilt.z(), spoilt.gradY())) {
            packed.spoil(rows, bad);
        }
        Arrays.fill(spoilt.initialState(), bad); // each sequence begins with a document
        Map<String, float[]> expected = run(clean);
        Map<String, float[]> actual = run(spoilt);
        for (String name : List.of("y", "grad u", "grad delta", "grad z", "grad b", "grad c")) {
            packed.compare(name, get(actual, name), get(expected, name));
        }
    }

    @ParameterizedTest
    @MethodSource("goldenCases")
    void agreesWithGoldenVectors(GoldenScan golden) {
        ScanCase scan = golden.scan();
        assumeTrue(given(scan).equals(scan), "skipped: golden vectors are for unrounded inputs");
        Map<String, float[]> actual = run(scan);
        assertThat(golden.expected()).hasSizeGreaterThanOrEqualTo(8);
        golden.expected()
                .forEach((name, values) -> comparison().check(golden + ": " + name, name, get(actual, name), values));
    }

    protected static List<GoldenScan> goldenCases() {
        return GoldenScan.all();
    }

    /** Holds the implementation to the float64 recurrence, in all results. */
    protected final void check(ScanCase scan) {
        ScanCase held = given(scan);
        Map<String, ExactSums> expected = ScanRecurrence.run(held);
        Map<String, float[]> actual = run(held);
        if (held.initialState().length == 0 && !actual.containsKey("grad initialState")) {
            expected.remove("grad initialState"); // autograd has none of what is not there
        }
        compareAll(held.toString(), actual, expected);
    }

    private void compareAll(String what, Map<String, float[]> actual, Map<String, ExactSums> expected) {
        assertThat(actual.keySet()).as(what).isEqualTo(expected.keySet());
        expected.forEach((name, values) -> comparison().check(what + ": " + name, name, get(actual, name), values));
    }

    static <T> T get(Map<String, T> results, String name) {
        return Optional.ofNullable(results.get(name)).orElseThrow(() -> new AssertionError("no " + name));
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
