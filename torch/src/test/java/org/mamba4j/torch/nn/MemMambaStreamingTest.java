package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.inference.State;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

class MemMambaStreamingTest {
    private static final int LENGTH = 47;

    static Stream<MemoryConfig> variants() {
        return MemoryVariants.all();
    }

    private static float[] score(TorchLanguageModel model, int[] tokens, int... cuts) {
        float[] all = new float[tokens.length * MemoryModels.VOCABULARY];
        try (State state = model.newState()) {
            int from = 0;
            for (int to : IntStream.concat(Arrays.stream(cuts), IntStream.of(tokens.length))
                    .toArray()) {
                int start = from;
                model.score(
                        state,
                        Arrays.copyOfRange(tokens, from, to),
                        0,
                        (position, logits) ->
                                System.arraycopy(logits, 0, all, (start + position) * logits.length, logits.length));
                from = to;
            }
        }
        return all;
    }

    @ParameterizedTest
    @MethodSource("variants")
    void anySplitReadsAlike(MemoryConfig memory) {
        try (MemMamba network = MemoryModels.random(memory, 1)) {
            int[] tokens = MemoryModels.text(LENGTH, 2);
            float[] whole = NoGrad.call(() ->
                    TensorScope.call(() -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 1, LENGTH)))));
            TorchLanguageModel model = new TorchLanguageModel(network);
            List<int[]> splits = List.of(
                    new int[0],
                    new int[] {1},
                    new int[] {4, 8},
                    new int[] {3, 3, 5, 29},
                    new int[] {46},
                    IntStream.range(1, LENGTH).toArray());
            for (int[] split : splits) {
                // Scores here lie thousands of roundings apart, so no selection flips between the ways to read.
                assertThat(score(model, tokens, split))
                        .as(Arrays.toString(split))
                        .usingComparatorWithPrecision(1e-4f)
                        .containsExactly(whole);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void copiesSavedStatesAndResetsContinueAlike(MemoryConfig memory, @TempDir Path folder) {
        try (MemMamba network = MemoryModels.random(memory, 3)) {
            TorchLanguageModel model = new TorchLanguageModel(network);
            int[] tokens = MemoryModels.text(LENGTH, 4);
            int[] more = MemoryModels.text(23, 5);
            for (int cut : new int[] {0, 1, 30, 32}) {
                try (State state = model.newState()) {
                    model.prefill(state, Arrays.copyOf(tokens, cut));
                    Path file = folder.resolve("state-" + cut);
                    state.save(file);
                    try (State copy = state.copy();
                            State loaded = model.loadState(file);
                            State fresh = model.newState()) {
                        model.prefill(state, more);
                        float[] expected = model.logits(state);
                        for (State other : List.of(copy, loaded)) {
                            model.prefill(other, more);
                            assertThat(model.logits(other)).isEqualTo(expected);
                        }
                        state.reset();
                        model.prefill(state, tokens);
                        model.prefill(fresh, tokens);
                        assertThat(model.logits(state)).isEqualTo(model.logits(fresh));
                    }
                }
            }
        }
    }

    @Test
    void aStateThatCannotBeIsRefused(@TempDir Path folder) {
        Path file = folder.resolve("state");
        try (MemMamba network = MemoryModels.random(MemoryModels.memory().build(), 1);
                MemMamba other = MemoryModels.random(MemoryModels.memory().build(), 2)) {
            TorchLanguageModel model = new TorchLanguageModel(network);
            try (State state = model.newState()) {
                model.prefill(state, MemoryModels.text(LENGTH, 4));
                state.save(file);
            }
            assertThatThrownBy(() -> new TorchLanguageModel(other).loadState(file))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("another model");
        }
    }

    /** Sees what a whole pass had to choose from. */
    private static final class Recorder implements NoteSelection {
        private final List<float[]> ranks = new ArrayList<>();

        @Override
        public Pools select(
                Candidates candidates, org.mamba4j.memory.Replacement replacement, Capacity capacity, int places) {
            ranks.add(Tensors.toFloats(candidates.rank()));
            return new RankedSelection().select(candidates, replacement, capacity, places);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"priority", "fifo"})
    void thePoolIsASortOfTheWholeHistoryOrItsTail(String replacement) {
        MemoryConfig memory = MemoryModels.memory().replacement(replacement).build();
        Recorder recorder = new Recorder();
        MemMambaConfig config = MemoryModels.config(memory);
        try (MemMamba network =
                MemoryModels.randomised(MemMamba.create(config, Gpu.kernelsUnderTest(), recorder, 1), 6)) {
            int[] tokens = MemoryModels.text(101, 7);
            NoGrad.run(() -> TensorScope.run(() -> network.forward(Tensors.ofTokens(tokens, 0, 1, tokens.length))));
            List<float[]> whole = List.copyOf(recorder.ranks);
            TorchLanguageModel model = new TorchLanguageModel(network);
            try (TorchState state = (TorchState) model.newState()) {
                for (int t = 0; t < tokens.length; t++) {
                    model.step(state, tokens[t]);
                    int committed = (t + 1) / memory.chunkSize() * memory.chunkSize();
                    for (int layer = 1; layer < 4; layer++) {
                        float[] ranks = whole.get(layer - 1);
                        assertThat(state.notes(layer).positions())
                                .hasSizeLessThanOrEqualTo(memory.poolSize())
                                .containsExactly(expected(ranks, committed, memory));
                        assertThat(state.notes(layer).open()).isEqualTo(t + 1 - committed);
                    }
                }
            }
        }
    }

    private static long[] expected(float[] ranks, int committed, MemoryConfig memory) {
        List<Integer> noted = IntStream.range(0, committed)
                .filter(i -> ranks[i] > Float.NEGATIVE_INFINITY)
                .boxed()
                .toList();
        int most = memory.poolSize();
        if (memory.replacement().equals("fifo")) {
            return noted.stream()
                    .skip(Math.max(0, noted.size() - most))
                    .mapToLong(i -> i)
                    .toArray();
        }
        return noted.stream()
                .sorted(Comparator.comparingDouble((Integer i) -> -ranks[i]))
                .limit(most)
                .mapToLong(i -> i)
                .toArray();
    }

    @Test
    void stateAndTimePerTokenStayAsTheyAre() {
        int block = 4096;
        int tokens = 1_000_000;
        MambaConfig mamba = MambaConfig.builder()
                .vocabSize(MemoryModels.VOCABULARY)
                .dModel(8)
                .nLayer(2)
                .dState(2)
                .build();
        MemMambaConfig config = new MemMambaConfig(
                mamba, MemoryConfig.builder().summarySize(8).crossLayerPeriod(2).build());
        try (MemMamba network = MemoryModels.randomised(MemMamba.create(config, Gpu.kernelsUnderTest(), 1), 1)) {
            TorchLanguageModel model = new TorchLanguageModel(network);
            try (TorchState young = (TorchState) model.newState();
                    TorchState old = (TorchState) model.newState()) {
                model.prefill(young, MemoryModels.text(block, 0));
                model.prefill(old, MemoryModels.text(tokens, 1));
                assertThat(old.tokensSeen()).isEqualTo(tokens);
                assertThat(old.sizeInBytes()).isEqualTo(young.sizeInBytes()).isEqualTo(config.stateBytes());
                assertThat(old.notes(1).held())
                        .isEqualTo(50)
                        .isEqualTo(young.notes(1).held());
                assertThat(old.notes(1).open()).isLessThan(config.memory().chunkSize());
                double[] seconds = {Double.MAX_VALUE, Double.MAX_VALUE};
                for (int round = 0;
                        round < 5 || (round < 200 && seconds[1] >= 1.5 * seconds[0]);
                        round++) { // by turns: the least of each is what a busy machine leaves
                    for (int i = 0; i < 2; i++) {
                        try (State state = (i == 0 ? young : old).copy()) {
                            long start = System.nanoTime();
                            model.prefill(state, MemoryModels.text(block, round));
                            seconds[i] = Math.min(seconds[i], (System.nanoTime() - start) * 1e-9);
                        }
                    }
                }
                System.out.printf(
                        "after %,d tokens %.2f µs a token, after %,d %.2f%n",
                        block, seconds[0] / block * 1e6, tokens, seconds[1] / block * 1e6);
                assertThat(seconds[1]).isLessThan(1.5 * seconds[0]);
            }
        }
    }
}
