package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.TestSeed;

/** What every implementation of the causal convolution must do, wherever it runs: agree with a float64 sum. */
public abstract class CausalConvContract {
    /**
     * Runs the case forward and backward in memory of its own and returns {@code y}, {@code lastState} and the gradients
     * {@code grad x}, {@code grad weight}, {@code grad bias} and {@code grad initialState}, the last two also where the
     * input is absent.
     */
    protected abstract Map<String, float[]> run(ConvCase conv);

    /** Of {@code wanted}, bits of {@link ConvCase}, what the implementation has, with what it always does. */
    protected abstract int options(int wanted);

    /** The width to test in the place of {@code usual}, for kernels that are compiled for each. */
    protected int width(int usual) {
        return usual;
    }

    /** {@code conv} as the implementation is given it: itself, or with values rounded to its types. */
    protected ConvCase given(ConvCase conv) {
        return conv;
    }

    /** How results are held to what is right. */
    protected Comparison comparison() {
        return Comparison.USUAL;
    }

    private ConvCase random(Random random, int batch, int length, int channels, int usualWidth, int options) {
        return given(ConvCase.random(random, batch, length, channels, width(usualWidth), options(options)));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 8, 17, 64, 256})
    void agreesForEveryChoiceOfOptionalInputsAndWidth(int width) {
        for (int options = 0; options <= ConvCase.ALL; options++) {
            if (options(options) == options) {
                check(random(new Random(options), 2, 37, 19, width, options));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 128, 129, 257})
    void agreesForAnyNumberOfChannels(int channels) {
        check(random(new Random(channels), 2, 11, channels, 4, ConvCase.ALL));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 4098})
    void agreesForAnyLength(int length) {
        check(random(new Random(length), 2, length, 18, 4, ConvCase.ALL));
        check(random(new Random(length), 1, length, 3, 2, 0));
    }

    @ParameterizedTest
    @CsvSource({"0, 5, 4, 3", "3, 0, 0, 2", "5, 70, 1536, 4", "2, 5000, 33, 4"})
    void agreesForLargeAndEmptySizes(int batch, int length, int channels, int width) {
        check(random(new Random(length), batch, length, channels, width, ConvCase.ALL));
    }

    @Test
    void agreesWhereTheSiluSaturates() {
        ConvCase conv = random(new Random(3), 2, 30, 37, 4, ConvCase.ALL);
        float[] scales = {0, 1, 20, 50, 88, 100, 1e4f, 1e10f};
        for (int i = 0; i < conv.x().length; i++) {
            conv.x()[i] *= scales[i / 37 % scales.length];
        }
        check(conv);
    }

    @Test
    void agreesForRandomSizesAndOptions() {
        Random random = new Random(TestSeed.of(getClass().getSimpleName()));
        for (int i = 0; i < 30; i++) {
            check(random(
                    random,
                    1 + random.nextInt(3),
                    random.nextInt(150),
                    1 + random.nextInt(70),
                    1 + random.nextInt(8),
                    random.nextInt(ConvCase.ALL + 1)));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 16, 33, 39, 40})
    void partsWithCarriedStateEqualTheWhole(int cut) {
        int channels = 19;
        ConvCase whole = random(new Random(cut), 1, 40, channels, 5, ConvCase.ALL);
        Map<String, ExactSums> expected = expected(whole);
        float[] carried = get(run(steps(whole, 0, cut, whole.initialState(), whole.gradLastState())), "lastState");
        Map<String, float[]> right = run(steps(whole, cut, 40, carried, whole.gradLastState()));
        boolean differentiable = whole.gradLastState().length > 0;
        float[] gradCarried = differentiable ? get(right, "grad initialState") : new float[0];
        Map<String, float[]> left = run(steps(whole, 0, cut, whole.initialState(), gradCarried));
        Map<String, float[]> joined = new LinkedHashMap<>();
        for (String name : new String[] {"y", "grad x"}) {
            float[] both = new float[40 * channels];
            System.arraycopy(get(left, name), 0, both, 0, cut * channels);
            System.arraycopy(get(right, name), 0, both, cut * channels, (40 - cut) * channels);
            joined.put(name, both);
        }
        for (String name : new String[] {"grad weight", "grad bias"}) {
            float[] sum = get(left, name).clone();
            for (int i = 0; i < sum.length; i++) {
                sum[i] += get(right, name)[i];
            }
            joined.put(name, sum);
        }
        joined.put("lastState", get(right, "lastState"));
        joined.put("grad initialState", get(left, "grad initialState"));
        if (!differentiable) { // the gradients of the two parts are not those of the whole
            joined.keySet().retainAll(List.of("y", "lastState"));
            expected.keySet().retainAll(joined.keySet());
        }
        compareAll("cut at " + cut, joined, expected);
    }

    @Test
    void keepsNanInItsChannelAndWindow() {
        int channels = 21;
        ConvCase conv = random(new Random(9), 1, 50, channels, 4, ConvCase.ALL - ConvCase.RESETS);
        conv.x()[30 * channels + 18] = Float.NaN;
        float[] y = get(run(conv), "y");
        for (int i = 0; i < y.length; i++) {
            boolean reached = i % channels == 18 && i / channels >= 30 && i / channels < 30 + conv.width();
            assertThat(Float.isNaN(y[i])).as("y[%d] is NaN", i).isEqualTo(reached);
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
    void aDocumentOfBadValuesStaysAlone(float bad) {
        assumeTrue((options(ConvCase.ALL) & ConvCase.RESETS) != 0, "skipped: takes one document a sequence");
        int length = 130;
        ConvCase clean = random(new Random(14), 2, length, 19, 4, ConvCase.ALL);
        ConvCase spoilt = random(new Random(14), 2, length, 19, 4, ConvCase.ALL);
        Packed packed = new Packed(2, length);
        packed.resets(clean.resets());
        packed.resets(spoilt.resets());
        packed.spoil(spoilt.x(), bad);
        packed.spoil(spoilt.gradY(), bad);
        Arrays.fill(spoilt.initialState(), bad); // each sequence begins with a document
        Map<String, float[]> expected = run(clean);
        Map<String, float[]> actual = run(spoilt);
        packed.compare("y", get(actual, "y"), get(expected, "y"));
        packed.compare("grad x", get(actual, "grad x"), get(expected, "grad x"));
    }

    @Test
    void theSameCaseGivesTheSameBits() {
        ConvCase conv = random(new Random(12), 3, 150, 300, 4, ConvCase.ALL);
        Map<String, float[]> first = run(conv);
        for (int i = 0; i < 5; i++) {
            run(conv).forEach((name, values) -> assertThat(values).as(name).isEqualTo(first.get(name)));
        }
    }

    /** Holds the implementation to the float64 sum, in all results. */
    protected final void check(ConvCase conv) {
        ConvCase held = given(conv);
        Map<String, ExactSums> expected = expected(held);
        Map<String, float[]> actual = run(held);
        List.of("grad bias", "grad initialState").forEach(name -> {
            boolean given = (name.equals("grad bias") ? held.bias() : held.initialState()).length > 0;
            if (!given && !actual.containsKey(name)) {
                expected.remove(name); // autograd has none of what is not there
            }
        });
        compareAll(held.toString(), actual, expected);
    }

    private void compareAll(String what, Map<String, float[]> actual, Map<String, ExactSums> expected) {
        assertThat(actual.keySet()).as(what).isEqualTo(expected.keySet());
        expected.forEach((name, values) -> comparison().check(what + ": " + name, name, get(actual, name), values));
    }

    private static ConvCase steps(ConvCase s, int from, int to, float[] initialState, float[] gradLastState) {
        return new ConvCase(
                1,
                to - from,
                s.channels(),
                s.width(),
                s.silu(),
                Arrays.copyOfRange(s.x(), from * s.channels(), to * s.channels()),
                s.weight(),
                s.bias(),
                initialState,
                Arrays.copyOfRange(s.gradY(), from * s.channels(), to * s.channels()),
                gradLastState,
                s.resets().length > 0 ? Arrays.copyOfRange(s.resets(), from, to) : s.resets());
    }

    /** The first of the padded inputs that belongs to the document of step {@code t}, or any out of the step's reach. */
    private static int firstSeen(ConvCase s, int b, int t) {
        for (int i = t; i >= 0 && i > t - s.width() && s.resets().length > 0; i--) {
            if (s.resets()[b * s.length() + i]) {
                return s.width() - 1 + i;
            }
        }
        return 0;
    }

    /** The definition in float64, over the padded input. */
    private static Map<String, ExactSums> expected(ConvCase s) {
        int width = s.width();
        int kept = width - 1;
        ExactSums y = new ExactSums(s.x().length);
        ExactSums last = new ExactSums(s.batch() * s.channels() * kept);
        ExactSums dX = new ExactSums(s.x().length);
        ExactSums dWeight = new ExactSums(s.weight().length);
        ExactSums dBias = new ExactSums(s.channels());
        ExactSums dInitial = new ExactSums(s.batch() * s.channels() * kept);
        for (int b = 0; b < s.batch(); b++) {
            for (int d = 0; d < s.channels(); d++) {
                double[] padded = new double[kept + s.length()];
                double[] dPadded = new double[padded.length];
                int state = (b * s.channels() + d) * kept;
                int gone = Math.max(0, firstSeen(s, b, s.length() - 1) - s.length()); // of the last state
                for (int k = 0; k < kept; k++) {
                    padded[k] = s.initialState().length > 0 ? s.initialState()[state + k] : 0;
                }
                for (int k = gone; k < kept; k++) {
                    dPadded[s.length() + k] = s.gradLastState().length > 0 ? s.gradLastState()[state + k] : 0;
                }
                for (int t = 0; t < s.length(); t++) {
                    int i = (b * s.length() + t) * s.channels() + d;
                    padded[kept + t] = s.x()[i];
                    double sum = s.bias().length > 0 ? s.bias()[d] : 0;
                    int nearest = Math.max(0, firstSeen(s, b, t) - t);
                    for (int k = nearest; k < width; k++) {
                        sum += s.weight()[d * width + k] * padded[t + k];
                    }
                    double sigmoid = 1 / (1 + Math.exp(-sum));
                    y.add(i, s.silu() ? sum * sigmoid : sum);
                    double dSum = s.gradY()[i] * (s.silu() ? sigmoid + sum * sigmoid * (1 - sigmoid) : 1);
                    dBias.add(d, dSum);
                    for (int k = nearest; k < width; k++) {
                        dWeight.add(d * width + k, dSum * padded[t + k]);
                        dPadded[t + k] += dSum * s.weight()[d * width + k];
                    }
                }
                for (int k = gone; k < kept; k++) {
                    last.add(state + k, padded[s.length() + k]);
                }
                for (int k = 0; k < kept; k++) {
                    dInitial.add(state + k, dPadded[k]);
                }
                for (int t = 0; t < s.length(); t++) {
                    dX.add((b * s.length() + t) * s.channels() + d, dPadded[kept + t]);
                }
            }
        }
        Map<String, ExactSums> results = new LinkedHashMap<>();
        results.put("y", y);
        results.put("lastState", last);
        results.put("grad x", dX);
        results.put("grad weight", dWeight);
        results.put("grad bias", dBias);
        results.put("grad initialState", dInitial);
        return results;
    }

    private static float[] get(Map<String, float[]> results, String name) {
        return SelectiveScanContract.get(results, name);
    }
}
