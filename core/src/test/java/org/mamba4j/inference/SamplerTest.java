package org.mamba4j.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.mamba4j.TestSeed;
import org.mamba4j.UserError;

class SamplerTest {
    private static final SamplingOptions DEFAULTS = SamplingOptions.DEFAULTS;
    private static final float INF = Float.POSITIVE_INFINITY;

    /** Probabilities 0.4, 0.3, 0.2, 0.1, as ids 2, 0, 3, 1. */
    private static final float[] FOUR = logs(0.3, 0.1, 0.4, 0.2);

    @Test
    void greedyTakesTheFirstOfTheGreatest() {
        assertThat(new Sampler(SamplingOptions.GREEDY).sample(new float[] {1, 3, 3, 2}))
                .isEqualTo(1);
        assertThat(new Sampler(SamplingOptions.GREEDY).sample(new float[] {-INF, -5}))
                .isEqualTo(1);
    }

    @Test
    void drawsFollowTheDistribution() {
        assertThat(frequencies(DEFAULTS, FOUR)).satisfies(f -> near(f, 0.3, 0.1, 0.4, 0.2));
        // Temperature 0.5 squares the probabilities: 0.09, 0.01, 0.16, 0.04 of 0.30.
        assertThat(frequencies(DEFAULTS.withTemperature(0.5), FOUR))
                .satisfies(f -> near(f, 0.3, 0.1 / 3, 1.6 / 3, 0.4 / 3));
        assertThat(frequencies(DEFAULTS.withTopK(2), FOUR)).satisfies(f -> near(f, 3 / 7.0, 0, 4 / 7.0, 0));
    }

    @Test
    void topPKeepsTheSmallestSetThatReachesIt() {
        assertThat(support(DEFAULTS.withTopP(0.39), FOUR)).containsExactly(2);
        assertThat(support(DEFAULTS.withTopP(0.41), FOUR)).containsExactly(0, 2);
        assertThat(support(DEFAULTS.withTopP(0.71), FOUR)).containsExactly(0, 2, 3);
        assertThat(support(DEFAULTS.withTopP(1), FOUR)).containsExactly(0, 1, 2, 3);
        assertThat(support(DEFAULTS.withTopP(1e-9), FOUR)).containsExactly(2);
    }

    @Test
    void topPSeesProbabilitiesRenormalisedOverTopK() {
        // Of the top two the first has 4/7 = 0.57: enough for 0.55 although it has only 0.4 of all.
        assertThat(support(DEFAULTS.withTopK(2).withTopP(0.55), FOUR)).containsExactly(2);
        assertThat(support(DEFAULTS.withTopP(0.55), FOUR)).containsExactly(0, 2);
    }

    @Test
    void minPIsRelativeToTheMostLikely() {
        assertThat(support(DEFAULTS.withMinP(0.26), FOUR)).containsExactly(0, 2, 3);
        assertThat(support(DEFAULTS.withMinP(0.51), FOUR)).containsExactly(0, 2);
        assertThat(support(DEFAULTS.withMinP(1), FOUR)).containsExactly(2);
    }

    @Test
    void repetitionPenaltyAppliesToObservedTokensOnly() {
        float[] logits = {2, 1.5f, -1, -1.2f};
        Sampler sampler = new Sampler(SamplingOptions.GREEDY.withRepetitionPenalty(1.5));
        assertThat(sampler.sample(logits)).isZero();
        sampler.observe(0); // 2 / 1.5 = 1.33 < 1.5
        assertThat(sampler.sample(logits)).isEqualTo(1);
        Sampler negative = new Sampler(SamplingOptions.GREEDY.withRepetitionPenalty(1.5));
        negative.observe(2); // -1 · 1.5 = -1.5 < -1.2
        assertThat(negative.sample(new float[] {-9, -9, -1, -1.2f})).isEqualTo(3);
        assertThat(logits).containsExactly(2, 1.5f, -1, -1.2f);
    }

    @Test
    void anObservedTokenBeyondTheLogitsIsIgnored() {
        Sampler sampler = new Sampler(SamplingOptions.GREEDY.withRepetitionPenalty(2));
        sampler.observe(1000);
        assertThat(sampler.sample(FOUR)).isEqualTo(2);
    }

    @Test
    void tiesAtAFiltersBorderKeepTheSmallerIds() {
        float[] equal = new float[100];
        assertThat(support(DEFAULTS.withTopK(3), equal)).containsExactly(0, 1, 2);
        assertThat(support(DEFAULTS.withTopP(0.045), equal)).containsExactly(0, 1, 2, 3, 4);
    }

    @Test
    void keepsThePrefixThatAFullSortWouldKeep() {
        long seed = TestSeed.of("SamplerTest");
        Random random = new Random(seed);
        for (int trial = 0; trial < 200; trial++) {
            int vocab = 1 + random.nextInt(40);
            float[] logits = new float[vocab];
            for (int i = 0; i < vocab; i++) {
                logits[i] = random.nextInt(8) - 4 + (random.nextBoolean() ? 0 : random.nextFloat());
            }
            SamplingOptions options = new SamplingOptions(
                    0.5 + random.nextDouble(),
                    random.nextInt(vocab + 2),
                    1 - 0.9 * random.nextDouble(),
                    random.nextBoolean() ? 0 : 0.3 * random.nextDouble(),
                    1,
                    seed);
            assertThat(keptBySorting(options, logits)).as("%s", options).containsAll(draws(options, logits, 200));
        }
    }

    @Test
    void survivesExtremeLogits() {
        assertThat(support(DEFAULTS.withTemperature(1e-300), FOUR)).containsExactly(2);
        assertThat(support(DEFAULTS, new float[] {Float.MAX_VALUE, -Float.MAX_VALUE}))
                .containsExactly(0);
        assertThat(support(DEFAULTS.withTopK(2), new float[] {-INF, 1, -INF})).containsExactly(1);
        Sampler tiny = new Sampler(DEFAULTS.withRepetitionPenalty(1e-30));
        tiny.observe(0);
        assertThat(tiny.sample(new float[] {Float.MAX_VALUE, 0})).isZero();
    }

    @Test
    void refusesLogitsThatAreNotNumbers() {
        Sampler sampler = new Sampler(DEFAULTS);
        assertThatThrownBy(() -> sampler.sample(new float[] {0, Float.NaN}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("logit of token 1 is NaN");
        assertThatThrownBy(() -> sampler.sample(new float[] {INF, 0}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("token 0 is Infinity");
        assertThatThrownBy(() -> sampler.sample(new float[] {-INF, -INF}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no token is possible");
    }

    @Test
    void sameSeedSameTokens() {
        SamplingOptions options = DEFAULTS.withTopP(0.95).withSeed(7);
        assertThat(draws(options, FOUR, 50)).isEqualTo(draws(options, FOUR, 50));
        assertThat(draws(options, FOUR, 50)).isNotEqualTo(draws(options.withSeed(8), FOUR, 50));
    }

    @Test
    void optionsNameWhatIsOutOfRange() {
        assertThatThrownBy(() -> DEFAULTS.withTemperature(-1))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("temperature is -1");
        assertThatThrownBy(() -> DEFAULTS.withTemperature(Double.NaN)).isInstanceOf(UserError.class);
        assertThatThrownBy(() -> DEFAULTS.withTopK(-1)).hasMessageContaining("top-k is -1");
        assertThatThrownBy(() -> DEFAULTS.withTopP(0)).hasMessageContaining("top-p is 0");
        assertThatThrownBy(() -> DEFAULTS.withTopP(1.1)).hasMessageContaining("(0, 1]");
        assertThatThrownBy(() -> DEFAULTS.withMinP(2)).hasMessageContaining("min-p is 2");
        assertThatThrownBy(() -> DEFAULTS.withRepetitionPenalty(0)).hasMessageContaining("repetition-penalty is 0");
    }

    private static Set<Integer> keptBySorting(SamplingOptions options, float[] logits) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < logits.length; i++) {
            order.add(i);
        }
        order.sort(Comparator.comparingDouble((Integer i) -> -logits[i]));
        List<Integer> kept = options.topK() == 0 ? order : order.subList(0, Math.min(options.topK(), order.size()));
        double mass = kept.stream()
                .mapToDouble(i -> Math.exp(logits[i] / options.temperature()))
                .sum();
        double most = Math.exp(logits[order.getFirst()] / options.temperature());
        Set<Integer> result = new TreeSet<>();
        double sum = 0;
        for (int i : kept) {
            double probability = Math.exp(logits[i] / options.temperature());
            if (!result.isEmpty()
                    && (sum >= options.topP() * mass * (1 + 1e-12)
                            || probability < options.minP() * most * (1 - 1e-12))) {
                break;
            }
            result.add(i);
            sum += probability;
        }
        return result;
    }

    private static List<Integer> draws(SamplingOptions options, float[] logits, int count) {
        Sampler sampler = new Sampler(options);
        List<Integer> result = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            result.add(sampler.sample(logits));
        }
        return result;
    }

    private static Set<Integer> support(SamplingOptions options, float[] logits) {
        return new TreeSet<>(draws(options, logits, 2000));
    }

    private static double[] frequencies(SamplingOptions options, float[] logits) {
        double[] result = new double[logits.length];
        List<Integer> draws = draws(options, logits, 20_000);
        draws.forEach(token -> result[token] += 1.0 / draws.size());
        return result;
    }

    /** Five standard deviations of 20,000 draws. */
    private static void near(double[] actual, double... expected) {
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).isBetween(expected[i] - 0.018, expected[i] + 0.018);
        }
    }

    private static float[] logs(double... probabilities) {
        float[] result = new float[probabilities.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = (float) Math.log(probabilities[i]);
        }
        return result;
    }
}
