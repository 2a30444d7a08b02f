package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** Sequences drawn side by side. */
class BatchDrawingTest {
    private static final int VOCABULARY = 16;
    private static final int END = 12;
    private static final String SIZES = "\"vocab_size\":16,\"hidden_size\":8,\"initializer_range\":1,";
    private static final String MAMBA = "{\"model_type\":\"mamba\"," + SIZES + "\"num_hidden_layers\":2}";
    private static final String U_NET = "{\"model_type\":\"mamba_unet\"," + SIZES
            + "\"unet_pools\":2,\"unet_pool_size\":2,\"unet_widening\":2,\"num_hidden_layers\":1}";

    /** Stands for the first token where nothing is asked for. */
    private static final int UNGUIDED = 11;

    private static final BatchDrawing.Rules RULES = rules(0);

    /** Neither the tokens that begin nor some others may be drawn. */
    private static BatchDrawing.Rules rules(double guidance) {
        return new BatchDrawing.Rules(List.of(0, 1, 2, 3, 4, 5, END), END, 8, guidance, UNGUIDED);
    }

    private static LanguageNetwork network(String json) {
        ModelConfig config = ModelConfig.fromJson(Json.parse(json.getBytes(StandardCharsets.UTF_8), "test"), "test");
        return LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 3);
    }

    /** Logits after each token (L, V), the sequence read as a whole. */
    private static float[] logits(LanguageNetwork network, int[] tokens) {
        return NoGrad.call(() -> TensorScope.call(
                () -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 1, tokens.length)))));
    }

    @ParameterizedTest
    @ValueSource(strings = {MAMBA, U_NET})
    void takesTheLikeliestChoiceWhenColdAndReadsWhatIsPutIn(String json) {
        int[] first = {13, 14, 15};
        try (LanguageNetwork network = network(json)) {
            // Longer than what is drawn between two looks at the end.
            List<int[]> drawn = new BatchDrawing(network).draw(first, 300, 1e-4, RULES, 5);
            for (int row = 0; row < first.length; row++) {
                int[] tokens = drawn.get(row);
                float[] logits = logits(network, tokens);
                for (int place = 0; place < tokens.length; place++) {
                    if (place % 8 == 0) {
                        assertThat(tokens[place]).isEqualTo(first[row]);
                    } else {
                        int at = (place - 1) * VOCABULARY;
                        float best = RULES.choices().stream()
                                .map(choice -> logits[at + choice])
                                .max(Float::compare)
                                .orElseThrow();
                        assertThat(RULES.choices()).contains(tokens[place]).isNotEqualTo(END);
                        assertThat(logits[at + tokens[place]]).isCloseTo(best, within(2e-3f));
                    }
                }
            }
        }
    }

    /** As drawn before there was any guidance. */
    @Test
    void drawsWithoutGuidanceWhatItAlwaysDrew() {
        int[] first = {13, 14, 15};
        int[] second = {14, 4, 4, 4, 4, 4, 4, 4, 14, 4, 4, 4, 4, 4, 4, 4, 14, 3, 3, 3, 3, 3, 3, 3};
        try (LanguageNetwork mamba = network(MAMBA);
                LanguageNetwork uNet = network(U_NET)) {
            assertThat(new BatchDrawing(mamba).draw(first, 24, 2, RULES, 5))
                    .containsExactly(new int[] {13, 3, 3, 5, 5, 5}, second, new int[] {15, 1, 1, 1, 0});
            assertThat(new BatchDrawing(uNet).draw(first, 24, 2, RULES, 5))
                    .containsExactly(
                            new int[] {13, 3, 3, 5, 5, 5, 5, 3, 13, 1, 0, 0, 0, 0, 0, 0, 13, 1, 0, 2, 2, 4, 0, 0},
                            second,
                            new int[] {15, 1, 1, 1, 0, 5, 5, 3, 15, 4, 4, 5, 5, 3, 3, 3, 15, 2, 4, 4, 4, 4, 4, 4});
        }
    }

    /** Each draw must be what the formula gives for whole sequences, read with their first tokens and without. */
    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {MAMBA + "; 0", MAMBA + "; 1.5", U_NET + "; 0", U_NET + "; 1.5"})
    void drawsByTheFormulaOnWholeSequences(String json, double guidance) {
        int[] first = {13, 14, 15};
        int most = 256; // drawn before the first look at the end, so random numbers come step by step
        double temperature = 1.5;
        try (LanguageNetwork network = network(json)) {
            List<int[]> drawn = new BatchDrawing(network).draw(first, most, temperature, rules(guidance), 5);
            SplittableRandom random = new SplittableRandom(5);
            double[][] chances = new double[most - 1][first.length]; // of a step, of a sequence
            for (double[] step : chances) {
                Arrays.setAll(step, row -> random.nextDouble());
            }
            int compared = 0;
            for (int row = 0; row < first.length; row++) {
                int[] tokens = Arrays.copyOf(drawn.get(row), Math.min(most, drawn.get(row).length + 1));
                if (tokens.length > drawn.get(row).length) {
                    tokens[tokens.length - 1] = END;
                }
                float[] asked = logits(network, tokens);
                float[] unasked = logits(network, withoutFirst(tokens));
                for (int place = 1; place < tokens.length; place++) {
                    if (place % 8 == 0) {
                        assertThat(tokens[place]).isEqualTo(first[row]);
                        continue;
                    }
                    int at = (place - 1) * VOCABULARY;
                    double[] cumulated = RULES.choices().stream()
                            .mapToDouble(choice -> Math.exp(
                                    (asked[at + choice] + guidance * (asked[at + choice] - unasked[at + choice]))
                                            / temperature))
                            .toArray();
                    Arrays.parallelPrefix(cumulated, Double::sum);
                    double total = cumulated[cumulated.length - 1];
                    int choice = RULES.choices().indexOf(tokens[place]);
                    double from = choice == 0 ? 0 : cumulated[choice - 1] / total;
                    assertThat(chances[place - 1][row])
                            .as("row %d, place %d", row, place)
                            .isBetween(from - 2e-4, cumulated[choice] / total + 2e-4);
                    compared++;
                }
            }
            assertThat(compared).isGreaterThan(100);
        }
    }

    private static int[] withoutFirst(int[] tokens) {
        int[] without = tokens.clone();
        for (int place = 0; place < without.length; place += 8) {
            without[place] = UNGUIDED;
        }
        return without;
    }

    @Test
    void endsWhereTheEndIsDrawn() {
        int[] first = new int[40];
        Arrays.fill(first, 13);
        try (LanguageNetwork network = network(MAMBA)) {
            BatchDrawing drawing = new BatchDrawing(network);
            List<int[]> drawn = drawing.draw(first, 50, 30, RULES, 5); // so hot that all choices are about as likely
            int[] lengths = drawn.stream().mapToInt(tokens -> tokens.length).toArray();
            assertThat(Arrays.stream(lengths).max().orElse(0)).isBetween(10, 50);
            assertThat(Arrays.stream(lengths).min().orElse(0)).isBetween(1, 4);
            assertThat(drawn).allSatisfy(tokens -> assertThat(tokens).doesNotContain(END));
            assertThat(drawing.draw(first, 50, 30, RULES, 5)).containsExactlyElementsOf(drawn);
            assertThat(drawing.draw(first, 1, 30, RULES, 5)).containsOnly(new int[] {13});
        }
    }

    @Test
    void saysWhatIsWrong() {
        assertThatThrownBy(() -> new BatchDrawing.Rules(List.of(1, 2), 3, 8, 0, 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new BatchDrawing.Rules(List.of(1, 2), 2, 1, 0, 0))
                .isInstanceOf(IllegalArgumentException.class);
        for (double guidance : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> rules(guidance))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("guidance");
        }
        try (LanguageNetwork network = network(MAMBA)) {
            BatchDrawing drawing = new BatchDrawing(network);
            assertThatThrownBy(() -> drawing.draw(new int[] {16}, 5, 1, RULES, 1))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("16");
            BatchDrawing.Rules beyond = new BatchDrawing.Rules(List.of(END, 17), END, 8, 0, 0);
            assertThatThrownBy(() -> drawing.draw(new int[] {1}, 5, 1, beyond, 1))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("17");
            BatchDrawing.Rules outside = new BatchDrawing.Rules(List.of(END), END, 8, 1, 18);
            assertThatThrownBy(() -> drawing.draw(new int[] {1}, 5, 1, outside, 1))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("18");
        }
    }
}
