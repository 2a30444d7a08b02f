package org.mamba4j.inference.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.kernel.PlainDense;
import org.mamba4j.kernel.PlainKernels;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;

/** The engine by itself; torch's tests compare it with the training graph. */
class JavaLanguageModelTest {
    private static final int VOCABULARY = 97;
    private static final MambaConfig CONFIG = MambaConfig.builder()
            .vocabSize(VOCABULARY)
            .dModel(24)
            .nLayer(3)
            .dState(8)
            .useBias(true)
            .tieEmbeddings(false)
            .build();

    @TempDir
    Path folder;

    private JavaLanguageModel open(DType type, long seed) {
        return JavaLanguageModel.open(RandomModels.write(folder.resolve("model" + seed), CONFIG, type, seed));
    }

    private static int[] text(int length, long seed) {
        return new SplittableRandom(seed).ints(length, 0, VOCABULARY).toArray();
    }

    /** Logits after each token, read in parts that end at {@code cuts}. */
    private static float[][] score(LanguageModel model, int[] tokens, int... cuts) {
        float[][] all = new float[tokens.length][];
        try (State state = model.newState()) {
            int from = 0;
            for (int i = 0; i <= cuts.length; i++) {
                int to = i < cuts.length ? cuts[i] : tokens.length;
                int start = from;
                model.score(
                        state,
                        Arrays.copyOfRange(tokens, from, to),
                        0,
                        (position, logits) -> all[start + position] = logits.clone());
                from = to;
            }
        }
        return all;
    }

    private static float[][] steps(LanguageModel model, int[] tokens) {
        float[][] all = new float[tokens.length][];
        try (State state = model.newState()) {
            for (int t = 0; t < tokens.length; t++) {
                model.step(state, tokens[t]);
                all[t] = model.logits(state);
            }
        }
        return all;
    }

    private static void assertClose(float[][] actual, float[][] expected) {
        assertThat(actual.length).isEqualTo(expected.length);
        for (int t = 0; t < expected.length; t++) {
            assertThat(actual[t])
                    .as("after token %d", t)
                    .usingComparatorWithPrecision(1e-4f)
                    .containsExactly(expected[t]);
        }
    }

    @Test
    void equalsTheGoldenVectorsAsAWholeInPartsAndStepByStep() throws Exception {
        for (String file : List.of("config.json", "model.safetensors", "expected.safetensors")) {
            try (var in = getClass().getResourceAsStream("/golden/hf-mamba-tiny/" + file)) {
                Files.write(folder.resolve(file), in.readAllBytes());
            }
        }
        try (LanguageModel model = LanguageModel.open(folder);
                SafetensorsFile file = SafetensorsFile.open(folder.resolve("expected.safetensors"))) {
            long[] ids = file.longs("input_ids");
            float[] logits = file.floats("logits");
            int length = (int) file.info("input_ids").shape().size(1);
            for (int row = 0; row < ids.length / length; row++) {
                int[] tokens = Arrays.stream(ids, row * length, (row + 1) * length)
                        .mapToInt(Math::toIntExact)
                        .toArray();
                float[][] expected = new float[length][];
                for (int t = 0; t < length; t++) {
                    int at = (row * length + t) * model.vocabSize();
                    expected[t] = Arrays.copyOfRange(logits, at, at + model.vocabSize());
                }
                assertClose(score(model, tokens), expected);
                assertClose(score(model, tokens, 1, 2, 5, 40), expected);
                assertClose(steps(model, tokens), expected);
            }
            int[] greedy = Arrays.stream(file.longs("greedy"))
                    .mapToInt(Math::toIntExact)
                    .toArray();
            assertThat(greedy(model, Arrays.copyOf(greedy, 8), greedy.length)).isEqualTo(greedy);
        }
    }

    private static int[] greedy(LanguageModel model, int[] prompt, int length) {
        int[] all = Arrays.copyOf(prompt, length);
        try (State state = model.newState()) {
            model.prefill(state, prompt);
            for (int t = prompt.length; t < length; t++) {
                float[] logits = model.logits(state);
                for (int token = 0; token < logits.length; token++) {
                    all[t] = logits[token] > logits[all[t]] ? token : all[t];
                }
                model.step(state, all[t]);
            }
        }
        return all;
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16", "F16", "F64"})
    void plainAndFastKernelsAgreeForEveryWayToReadAndEveryFormat(DType type) {
        int[] tokens = text(JavaLanguageModel.CHUNK + 40, 1);
        Path model = RandomModels.write(folder.resolve("model"), CONFIG, type, 1);
        try (JavaLanguageModel fast = JavaLanguageModel.open(model);
                JavaLanguageModel plain =
                        JavaLanguageModel.open(model, new Layer.Kernels(new PlainDense(), new PlainKernels()))) {
            float[][] expected = score(plain, tokens);
            assertClose(score(fast, tokens), expected);
            assertClose(score(fast, tokens, 1, 2, 3, 130, 137, 290), expected);
            assertClose(steps(fast, tokens), expected);
        }
    }

    @Test
    void scoringFromTheMiddleHandsOverTheRestOnly() {
        int[] tokens = text(2 * JavaLanguageModel.CHUNK + 9, 2);
        try (JavaLanguageModel model = open(DType.F32, 2);
                State state = model.newState()) {
            float[][] expected = score(model, tokens);
            List<Integer> positions = new ArrayList<>();
            int from = JavaLanguageModel.CHUNK - 3;
            model.score(state, tokens, from, (position, logits) -> {
                positions.add(position);
                assertThat(logits).isEqualTo(expected[position]);
            });
            assertThat(positions).hasSize(tokens.length - from).first().isEqualTo(from);
            assertThat(model.logits(state)).isEqualTo(expected[tokens.length - 1]);
        }
    }

    @Test
    void copiesResetsAndSavedStatesContinueAlike() {
        try (JavaLanguageModel model = open(DType.F32, 3);
                State state = model.newState()) {
            model.prefill(state, text(30, 3));
            Path file = folder.resolve("state");
            state.save(file);
            try (State copy = state.copy();
                    State loaded = model.loadState(file);
                    State fresh = model.newState()) {
                float[] before = model.logits(state);
                model.prefill(copy, text(10, 4));
                assertThat(model.logits(state)).isEqualTo(before);
                for (State each : List.of(state, loaded)) {
                    assertThat(each.tokensSeen()).isEqualTo(30);
                    model.prefill(each, text(10, 4));
                    assertThat(model.logits(each)).isEqualTo(model.logits(copy));
                }
                state.reset();
                assertThat(state.tokensSeen()).isZero();
                model.prefill(state, text(7, 5));
                model.prefill(fresh, text(7, 5));
                assertThat(model.logits(state)).isEqualTo(model.logits(fresh));
                assertThat(state.sizeInBytes()).isEqualTo(CONFIG.stateBytes());
            }
        }
    }

    @Test
    void whatIsWrongIsRefusedAndChangesNothing() {
        try (JavaLanguageModel model = open(DType.F32, 5);
                JavaLanguageModel other = open(DType.F32, 6);
                State state = model.newState();
                State foreign = other.newState()) {
            assertThatThrownBy(() -> model.logits(state)).isInstanceOf(IllegalStateException.class);
            model.prefill(state, new int[0]);
            assertThat(state.tokensSeen()).isZero();
            model.prefill(state, text(5, 1));
            float[] before = model.logits(state);
            int[] bad = text(700, 2);
            bad[699] = VOCABULARY;
            assertThatThrownBy(() -> model.prefill(state, bad))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("token 97 at index 699")
                    .hasMessageContaining("vocabulary of 97");
            assertThatThrownBy(() -> model.step(state, -1)).isInstanceOf(UserError.class);
            assertThat(model.logits(state)).isEqualTo(before);
            assertThat(state.tokensSeen()).isEqualTo(5);
            assertThatThrownBy(() -> model.step(foreign, 1)).hasMessageContaining("another model");
            assertThatThrownBy(() -> model.score(state, bad, 701, (position, logits) -> {}))
                    .isInstanceOf(IllegalArgumentException.class);
            foreign.save(folder.resolve("foreign"));
            assertThatThrownBy(() -> model.loadState(folder.resolve("foreign")))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("another model");
            assertThatThrownBy(() -> LanguageModel.open(folder.resolve("nothing")))
                    .isInstanceOf(UserError.class);
        }
    }

    @Test
    void aClosedModelOrStateIsRefused() {
        JavaLanguageModel model = open(DType.F32, 7);
        State state = model.newState();
        State closed = model.newState();
        closed.close();
        closed.close();
        assertThatThrownBy(() -> model.step(closed, 1)).hasMessage("the state is closed");
        model.score(state, text(3, 1), 0, (position, logits) -> model.close()); // it goes when the pass has ended
        model.close();
        assertThatThrownBy(() -> model.step(state, 1)).hasMessage("the model is closed");
        assertThatThrownBy(() -> model.logits(state)).hasMessage("the model is closed");
        state.close();
    }

    @Test
    void theMemoryOfAStateThatNobodyClosedIsFreed() throws InterruptedException {
        try (JavaLanguageModel model = open(DType.F32, 12)) {
            MemorySegment memory = ((JavaState) model.newState()).tensor("last_hidden");
            for (int i = 0; i < 500 && memory.scope().isAlive(); i++) {
                System.gc();
                Thread.sleep(10);
            }
            assertThat(memory.scope().isAlive()).isFalse();
        }
    }

    @Test
    void athousandStatesOnManyThreadsReadAsOneAfterTheOther() throws Exception {
        try (JavaLanguageModel model = open(DType.F32, 8);
                ExecutorService threads = Executors.newFixedThreadPool(8)) {
            List<State> states = new ArrayList<>();
            List<Callable<int[]>> runs = new ArrayList<>();
            for (int i = 0; i < 1000; i++) {
                int number = i;
                states.add(model.newState()); // all of them alive at once
                runs.add(() -> {
                    State state = states.get(number);
                    model.prefill(state, text(6, number % 20));
                    int[] tokens = new int[4];
                    for (int t = 0; t < tokens.length; t++) {
                        float[] logits = model.logits(state);
                        for (int token = 0; token < logits.length; token++) {
                            tokens[t] = logits[token] > logits[tokens[t]] ? token : tokens[t];
                        }
                        model.step(state, tokens[t]);
                    }
                    return tokens;
                });
            }
            List<Future<int[]>> together = threads.invokeAll(runs);
            for (int i = 0; i < 20; i++) {
                int[] expected = Arrays.copyOfRange(greedy(model, text(6, i), 10), 6, 10);
                for (int same = i; same < 1000; same += 20) {
                    assertThat(together.get(same).get()).isEqualTo(expected);
                    states.get(same).close();
                }
            }
        }
    }

    private static final MemMambaConfig WITH_MEMORY = new MemMambaConfig(
            CONFIG.toBuilder().nLayer(4).build(),
            MemoryConfig.builder()
                    .chunkSize(16)
                    .poolSize(10)
                    .summarySize(12)
                    .crossLayerPeriod(2)
                    .build());

    @Test
    void aMemoryComputesAlikeOnPlainAndFastKernels() {
        int[] tokens = text(3 * JavaLanguageModel.CHUNK, 10);
        Path model = RandomModels.write(folder.resolve("model"), WITH_MEMORY, DType.F32, 10);
        try (JavaLanguageModel fast = JavaLanguageModel.open(model);
                JavaLanguageModel plain =
                        JavaLanguageModel.open(model, new Layer.Kernels(new PlainDense(), new PlainKernels()))) {
            float[][] expected = score(plain, tokens);
            assertClose(score(fast, tokens), expected);
            assertClose(score(fast, tokens, 1, 2, 16, 17, 100, 113, 500), expected);
            assertClose(steps(fast, tokens), expected);
        }
    }

    @Test
    void aDamagedPoolIsRefused() {
        Path folderOfModel = RandomModels.write(folder.resolve("model"), WITH_MEMORY, DType.F32, 11);
        Path file = folder.resolve("state");
        try (JavaLanguageModel model = JavaLanguageModel.open(folderOfModel);
                JavaState state = (JavaState) model.newState()) {
            model.prefill(state, text(100, 11));
            MemorySegment position = state.tensor("layers.2.memory.pool.position");
            MemorySegment importance = state.tensor("layers.2.memory.pool.importance");
            state.save(file);
            model.loadState(file).close();
            float before = position.getAtIndex(ValueLayout.JAVA_FLOAT, 1);
            position.setAtIndex(ValueLayout.JAVA_FLOAT, 1, 96);
            assertRefused(model, state, file, "a note of token 96, but only those before 96");
            position.setAtIndex(ValueLayout.JAVA_FLOAT, 1, before);
            importance.setAtIndex(ValueLayout.JAVA_FLOAT, 0, -1000);
            assertRefused(model, state, file, "in the order of their importance");
        }
    }

    private static void assertRefused(LanguageModel model, State state, Path file, String message) {
        state.save(file);
        assertThatThrownBy(() -> model.loadState(file))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("layers.2.memory.pool.position")
                .hasMessageContaining(message);
    }

    @Test
    void aStepAllocatesNothingOnceItIsWarm() throws IOException {
        for (Path model : List.of(
                RandomModels.write(folder.resolve("mamba"), CONFIG, DType.F32, 9),
                RandomModels.write(folder.resolve("halves"), CONFIG, DType.BF16, 9),
                RandomModels.write(folder.resolve("memmamba"), WITH_MEMORY, DType.F32, 9))) {
            assertThat(bytesPerToken(model))
                    .as("bytes per token of %s", model.getFileName())
                    .isLessThan(1);
        }
    }

    private static double bytesPerToken(Path model) throws IOException {
        Process child = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--add-modules=jdk.incubator.vector",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        AllocationChild.class.getName(),
                        model.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (BufferedReader out = child.inputReader()) {
            return out.lines().mapToDouble(Double::parseDouble).findFirst().orElseThrow();
        }
    }
}
