package org.mamba4j.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.inference.engine.RandomModels;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.text.Tokenizers;

/** What a program does with a model: on the engine that {@link LanguageModel#open} gives. */
class LanguageModelUseTest {
    private static final MambaConfig CONFIG = MambaConfig.builder()
            .vocabSize(256)
            .dModel(24)
            .nLayer(3)
            .dState(8)
            .eosTokenId(MambaConfig.NO_TOKEN)
            .build();
    private static final MemMambaConfig WITH_MEMORY = new MemMambaConfig(
            CONFIG.toBuilder().nLayer(4).build(),
            MemoryConfig.builder()
                    .chunkSize(16)
                    .poolSize(10)
                    .summarySize(12)
                    .crossLayerPeriod(2)
                    .build());
    private static final GenerationOptions SHORT = GenerationOptions.DEFAULTS.withMaxNewTokens(30);

    @TempDir
    Path folder;

    private Path path = Path.of("");

    @BeforeEach
    void makeModel() {
        path = write("model", CONFIG, DType.F32);
    }

    private Path write(String name, ModelConfig config, DType type) {
        Path made = RandomModels.write(folder.resolve(name), config, type, 5);
        Tokenizers.bytes().save(made);
        return made;
    }

    private static int[] text(int length, long seed) {
        return new SplittableRandom(seed).ints(length, 0, 256).toArray();
    }

    @Test
    void theShortestProgram() throws IOException {
        int[] tokens = Tokenizers.bytes().encode("Once upon a time");
        GenerationOptions options = SHORT;
        Path file = folder.resolve("state");
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            // As a user writes it; a state that nobody closes is freed when nobody can reach it.
            try (var model = LanguageModel.open(path)) {
                var state = model.newState();
                model.prefill(state, tokens);
                model.generate(state, options).forEach(System.out::print);
                state.save(file);
            }
        } finally {
            System.setOut(before);
        }
        String text = printed.toString(StandardCharsets.UTF_8);
        try (LanguageModel model = LanguageModel.open(path);
                State state = model.newState();
                State saved = model.loadState(file)) {
            Generation expected =
                    new Generator(model, model.tokenizer()).generate(state, "Once upon a time", options, piece -> {});
            assertThat(text).isEqualTo(expected.text()).isNotEmpty();
            assertThat(saved.tokensSeen()).isEqualTo(tokens.length + 30);
            assertThat(model.logits(saved)).isEqualTo(model.logits(state));
        }
        assertThat(Files.size(file)).isGreaterThan(CONFIG.stateBytes());
    }

    @Test
    void aStreamIsGeneratedAsFarAsItIsRead() {
        try (LanguageModel model = LanguageModel.open(path);
                State state = model.newState();
                State same = model.newState()) {
            assertThatThrownBy(() -> model.generate(state, SHORT))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("at least one token");
            model.prefill(state, text(5, 1));
            model.prefill(same, text(5, 1));
            var none = model.generate(state, SHORT);
            assertThat(state.tokensSeen()).isEqualTo(5);
            assertThat(none.limit(3)).hasSize(3);
            long read = state.tokensSeen() - 5;
            assertThat(read).isBetween(3L, 12L); // a piece is a character, which may take several of these tokens
            // What was not taken was not read: another stream goes on where the first was left.
            var more = SHORT.withMaxNewTokens((int) read);
            String again = String.join("", model.generate(same, more).toList());
            assertThat(model.logits(same)).isEqualTo(model.logits(state));
            assertThat(again).isNotEmpty();
        }
    }

    @Test
    void aModelEndsItsTextByItself() {
        int[] expected;
        try (LanguageModel model = LanguageModel.open(path)) {
            expected = model.generate(List.of(text(5, 1)), SHORT).getFirst();
        }
        int end = expected[20];
        int length = Arrays.stream(expected).boxed().toList().indexOf(end);
        Path ending = write("ending", CONFIG.toBuilder().eosTokenId(end).build(), DType.F32);
        try (LanguageModel model = LanguageModel.open(ending);
                State state = model.newState()) {
            model.prefill(state, text(5, 1));
            String text = String.join("", model.generate(state, SHORT).toList());
            assertThat(text).isEqualTo(model.tokenizer().decode(Arrays.copyOf(expected, length)));
            assertThat(state.tokensSeen()).isEqualTo(5 + length);
        }
    }

    @Test
    void aModelWithoutTokenizerSaysSo() throws IOException {
        Files.delete(path.resolve("tokenizer_config.json"));
        try (LanguageModel model = LanguageModel.open(path)) {
            assertThatThrownBy(model::tokenizer).isInstanceOf(UserError.class).hasMessageContaining("has no tokenizer");
        }
        assertThatThrownBy(() -> new FakeLanguageModel(3, history -> new float[3]).tokenizer())
                .isInstanceOf(UserError.class)
                .hasMessageContaining("Tokenizers.load");
    }

    @Test
    void logProbabilitiesAreThoseOfEachTokenAfterAllBefore() {
        for (Path each : List.of(path, write("memory", WITH_MEMORY, DType.F32))) {
            try (LanguageModel model = LanguageModel.open(each);
                    State steps = model.newState();
                    State whole = model.newState();
                    State parts = model.newState()) {
                int[] tokens = text(600, 2);
                double[] expected = new double[tokens.length];
                double[] row = new double[256];
                for (int t = 0; t < tokens.length; t++) {
                    if (t > 0) {
                        float[] logits = model.logits(steps);
                        double sum = 0;
                        for (int v = 0; v < row.length; v++) {
                            sum += Math.exp(logits[v]);
                        }
                        expected[t] = Math.log(Math.exp(logits[tokens[t]]) / sum);
                    }
                    model.step(steps, tokens[t]);
                }
                double[] actual = model.logProbabilities(whole, tokens);
                assertThat(actual[0]).isNaN();
                assertThat(Arrays.copyOfRange(actual, 1, 600))
                        .usingComparatorWithPrecision(1e-4)
                        .containsExactly(Arrays.copyOfRange(expected, 1, 600));
                assertThat(whole.tokensSeen()).isEqualTo(600);
                for (int from = 0, to = 1; from < 600; from = to, to = Math.min(600, to + 97)) {
                    double[] part = model.logProbabilities(parts, Arrays.copyOfRange(tokens, from, to));
                    assertThat(part)
                            .usingComparatorWithPrecision(1e-4)
                            .containsExactly(Arrays.copyOfRange(actual, from, to));
                }
                assertThat(model.logProbabilities(parts, new int[0])).isEmpty();
                assertThatThrownBy(() -> model.logProbabilities(whole, new int[] {1, 256}))
                        .hasMessageContaining("token 256 at index 1");
                assertThat(whole.tokensSeen()).isEqualTo(600);
            }
        }
    }

    @Test
    void anEmbeddingIsTheMeanOrTheLastOfWhatTheHeadReads() {
        try (LanguageModel model = LanguageModel.open(path);
                State state = model.newState();
                State other = model.newState()) {
            int[] tokens = text(530, 3);
            List<float[]> rows = new ArrayList<>();
            model.hidden(state, tokens, 0, (position, row) -> {
                assertThat(position).isEqualTo(rows.size());
                rows.add(row.clone());
            });
            assertThat(rows).hasSize(530);
            model.hidden(other, tokens, 528, (position, row) -> assertThat(row).isEqualTo(rows.get(position)));
            other.reset();
            assertThat(model.embed(other, tokens, Pooling.LAST)).isEqualTo(rows.getLast());
            assertThat(other.tokensSeen()).isEqualTo(530);
            other.reset();
            float[] mean = model.embed(other, tokens, Pooling.MEAN);
            for (int i = 0; i < mean.length; i++) {
                int column = i;
                assertThat(mean[i])
                        .isCloseTo(
                                (float) rows.stream()
                                        .mapToDouble(row -> row[column])
                                        .average()
                                        .orElseThrow(),
                                within(1e-5f));
            }
            assertThatThrownBy(() -> model.embed(other, new int[0], Pooling.MEAN))
                    .isInstanceOf(UserError.class);
        }
    }

    @Test
    void statesReadSideBySideAsOneAfterTheOther() {
        for (Path each :
                List.of(path, write("memory", WITH_MEMORY, DType.F32), write("half", WITH_MEMORY, DType.F16))) {
            try (LanguageModel model = LanguageModel.open(each)) {
                sideBySide(model, 1);
                sideBySide(model, 5);
                sideBySide(model, 300); // more than go into a pass
            }
        }
    }

    private static void sideBySide(LanguageModel model, int count) {
        List<State> together = new ArrayList<>();
        List<State> alone = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            together.add(model.newState());
            alone.add(model.newState());
            // Chunks of memories end at different steps.
            model.prefill(together.get(i), text(1 + i % 23, i));
            model.prefill(alone.get(i), text(1 + i % 23, i));
        }
        for (int t = 0; t < 20; t++) {
            int[] tokens = text(count, 100 + t);
            model.step(together, tokens);
            for (int i = 0; i < count; i++) {
                model.step(alone.get(i), tokens[i]);
            }
        }
        List<float[]> logits = model.logits(together);
        for (int i = 0; i < count; i++) {
            assertThat(together.get(i).tokensSeen()).isEqualTo(alone.get(i).tokensSeen());
            assertThat(logits.get(i)).as("state %d", i).isEqualTo(model.logits(alone.get(i)));
            together.get(i).close();
            alone.get(i).close();
        }
    }

    @Test
    void promptsAreContinuedTogetherAsEachAlone() {
        List<int[]> prompts = List.of(text(3, 1), text(40, 2), text(1, 3), text(17, 4));
        try (LanguageModel model = LanguageModel.open(path)) {
            String common = new String(new byte[] {(byte) ('a' + 3)}, StandardCharsets.US_ASCII);
            for (GenerationOptions options : List.of(
                    SHORT,
                    SHORT.withSampling(SamplingOptions.GREEDY),
                    SHORT.withSampling(SamplingOptions.DEFAULTS.withTopK(40).withRepetitionPenalty(1.3)),
                    SHORT.withEndTokens(Set.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)),
                    SHORT.withMaxNewTokens(400).withStop(List.of(common, "\n")),
                    SHORT.withMaxNewTokens(0))) {
                List<int[]> together = model.generate(prompts, options);
                for (int i = 0; i < prompts.size(); i++) {
                    GenerationOptions own = options.withSampling(
                            options.sampling().withSeed(options.sampling().seed() + i));
                    try (State state = model.newState()) {
                        Continuation alone = Continuation.start(model, model.tokenizer(), state, prompts.get(i), own);
                        while (!alone.isDone()) {
                            alone.advance(piece -> {});
                        }
                        Generation expected = alone.result();
                        assertThat(together.get(i)).hasSize(expected.newTokens());
                        assertThat(model.tokenizer().decode(together.get(i))).startsWith(expected.text());
                        List<int[]> cut = StopTexts.cut(together, options.stop(), model.tokenizer());
                        assertThat(cut.get(i)).isEqualTo(together.get(i));
                    }
                }
            }
            assertThat(model.generate(List.of(), SHORT)).isEmpty();
            assertThatThrownBy(() -> model.generate(List.of(new int[1], new int[0]), SHORT))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("prompt 1 of 2 is empty");
            try (State state = model.newState()) {
                assertThatThrownBy(() -> model.step(List.of(state, state), new int[2]))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("twice");
                assertThatThrownBy(() -> model.step(List.of(state), new int[2]))
                        .isInstanceOf(IllegalArgumentException.class);
                assertThat(state.tokensSeen()).isZero();
            }
        }
    }
}
