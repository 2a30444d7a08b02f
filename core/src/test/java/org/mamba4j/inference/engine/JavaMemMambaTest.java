package org.mamba4j.inference.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsFile;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.model.TensorSpec;

/** What must hold of a memory on this engine alone; torch's tests compare the engines, pools and all. */
class JavaMemMambaTest {
    private static final int VOCABULARY = 61;

    /** Tokens after which size and speed are looked at again; a million take minutes. */
    private static final int MANY_TOKENS = Integer.getInteger("mamba4j.tokens", 60_000);

    private static final MemMambaConfig CONFIG = new MemMambaConfig(
            MambaConfig.builder()
                    .vocabSize(VOCABULARY)
                    .dModel(16)
                    .nLayer(4)
                    .dState(4)
                    .build(),
            MemoryConfig.builder()
                    .chunkSize(16)
                    .poolSize(10)
                    .summarySize(8)
                    .crossLayerPeriod(2)
                    .build());

    @TempDir
    Path folder;

    private JavaLanguageModel open() {
        return JavaLanguageModel.open(RandomModels.write(folder.resolve("model"), CONFIG, DType.F32, 1));
    }

    private static int[] text(int length, long seed) {
        return new SplittableRandom(seed).ints(length, 0, VOCABULARY).toArray();
    }

    private static List<float[]> score(LanguageModel model, int[] tokens) {
        List<float[]> all = new ArrayList<>();
        try (State state = model.newState()) {
            model.score(state, tokens, 0, (position, logits) -> all.add(logits.clone()));
        }
        return all;
    }

    @Test
    void whatComesLaterChangesNothingBefore() {
        try (JavaLanguageModel model = open()) {
            int[] tokens = text(150, 2);
            List<float[]> before = score(model, tokens);
            for (int t : new int[] {0, 1, 15, 16, 17, 31, 32, 100, 149}) {
                int[] changed = tokens.clone();
                changed[t] = (changed[t] + 1) % VOCABULARY;
                List<float[]> after = score(model, changed);
                for (int i = 0; i < t; i++) {
                    assertThat(after.get(i))
                            .as("token %d of one changed at %d", i, t)
                            .isEqualTo(before.get(i));
                }
                assertThat(after.get(t)).isNotEqualTo(before.get(t));
            }
        }
    }

    @Test
    void thatReadsNothingOfWorthIsTheMambaThatItWraps() {
        Path noting = RandomModels.write(folder.resolve("model"), CONFIG, DType.F32, 3);
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        try (Checkpoint checkpoint = Checkpoint.open(noting)) {
            for (TensorSpec spec : CONFIG.parameters()) {
                float[] values = checkpoint.floats(spec.name());
                tensors.add(SafetensorsWriter.Tensor.ofFloats(
                        spec.name(),
                        spec.shape(),
                        spec.name().endsWith("value.weight") ? new float[values.length] : values));
            }
        }
        Path untrained = folder.resolve("untrained");
        Checkpoint.write(untrained, CONFIG, tensors);
        try (JavaLanguageModel memory = JavaLanguageModel.open(untrained);
                JavaLanguageModel trained = JavaLanguageModel.open(noting);
                JavaLanguageModel mamba =
                        JavaLanguageModel.open(Checkpoint.open(untrained).withoutNotes())) {
            int[] tokens = text(100, 4);
            List<float[]> expected = score(mamba, tokens);
            List<float[]> wrapped = score(memory, tokens);
            for (int t = 0; t < tokens.length; t++) {
                assertThat(wrapped.get(t)).usingComparatorWithPrecision(1e-5f).containsExactly(expected.get(t));
            }
            assertThat(score(trained, tokens).getLast()).isNotEqualTo(expected.getLast());
        }
    }

    @Test
    void sequencesDoNotSeeEachOtherAndAResetStateIsNew() {
        try (JavaLanguageModel model = open()) {
            List<State> together =
                    IntStream.range(0, 3).mapToObj(i -> model.newState()).toList();
            int[][] texts = {text(50, 5), text(50, 6), text(50, 7)};
            for (int t = 0; t < 50; t++) {
                model.step(together, new int[] {texts[0][t], texts[1][t], texts[2][t]});
            }
            for (int i = 0; i < 3; i++) {
                float[] alone = score(model, texts[i]).getLast();
                assertThat(model.logits(together.get(i)))
                        .usingComparatorWithPrecision(1e-4f)
                        .containsExactly(alone);
            }
            State used = together.getFirst();
            used.reset();
            model.prefill(used, texts[1]);
            try (State fresh = model.newState()) {
                model.prefill(fresh, texts[1]);
                assertThat(model.logits(used)).isEqualTo(model.logits(fresh));
            }
            together.forEach(State::close);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"priority", "fifo"})
    void poolsHoldNoMoreThanTheyMayAndStandInOrder(String replacement) {
        MemMambaConfig config = new MemMambaConfig(
                CONFIG.mamba(),
                CONFIG.memory().toBuilder().replacement(replacement).build());
        Path file = folder.resolve("state");
        try (JavaLanguageModel model =
                        JavaLanguageModel.open(RandomModels.write(folder.resolve(replacement), config, DType.F32, 8));
                State state = model.newState()) {
            for (int round = 0; round < 30; round++) {
                model.prefill(state, text(37, 100 + round));
                state.save(file);
                try (SafetensorsFile saved = SafetensorsFile.open(file)) {
                    float[] position = saved.floats("layers.2.memory.pool.position");
                    float[] importance = saved.floats("layers.2.memory.pool.importance");
                    int held = (int) IntStream.range(0, 10)
                            .filter(i -> position[2 * i] >= 0)
                            .count();
                    assertThat(importance).hasSize(10);
                    for (int i = 1; i < held; i++) {
                        boolean ordered = replacement.equals("fifo")
                                ? position[2 * i + 1] > position[2 * i - 1]
                                : importance[i] <= importance[i - 1];
                        assertThat(ordered)
                                .as("entry %d of %s", i, Arrays.toString(importance))
                                .isTrue();
                    }
                }
            }
        }
    }

    /** With {@code -Dmamba4j.tokens=1000000} to a million. */
    @Test
    void sizeAndTimePerTokenStayAsTheyAre() {
        int block = 4096;
        try (JavaLanguageModel model = open();
                JavaState young = (JavaState) model.newState();
                JavaState old = (JavaState) model.newState()) {
            model.prefill(young, text(block, 0));
            for (int read = 0; read < MANY_TOKENS; read += 10_000) {
                model.prefill(old, text(Math.min(10_000, MANY_TOKENS - read), read));
            }
            assertThat(old.tokensSeen()).isEqualTo(MANY_TOKENS);
            assertThat(old.sizeInBytes()).isEqualTo(young.sizeInBytes()).isEqualTo(CONFIG.stateBytes());
            assertThat(notes(old)).isEqualTo(10).isEqualTo(notes(young));
            double[] seconds = {Double.MAX_VALUE, Double.MAX_VALUE};
            for (int round = 0;
                    round < 20 || (round < 200 && seconds[1] >= 1.5 * seconds[0]);
                    round++) { // by turns: the least of each is what a busy machine leaves
                for (int i = 0; i < 2; i++) {
                    try (State state = (i == 0 ? young : old).copy()) {
                        long start = System.nanoTime();
                        model.prefill(state, text(block, round));
                        seconds[i] = Math.min(seconds[i], (System.nanoTime() - start) * 1e-9);
                    }
                }
            }
            System.out.printf(
                    "pure Java: after %,d tokens %.2f µs a token, after %,d %.2f%n",
                    block, seconds[0] / block * 1e6, MANY_TOKENS, seconds[1] / block * 1e6);
            assertThat(seconds[1]).isLessThan(1.5 * seconds[0]);
        }
    }

    private static long notes(JavaState state) {
        MemorySegment position = state.tensor("layers.2.memory.pool.position");
        return IntStream.range(0, 10)
                .filter(i -> position.getAtIndex(ValueLayout.JAVA_FLOAT, 2L * i) >= 0)
                .count();
    }
}
