package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Pooling;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.inference.State;
import org.mamba4j.inference.engine.JavaLanguageModel;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.kernel.MambaKernels;

/** A model exists twice, as a training graph and in pure Java: both must compute the same. */
class EnginesTest {
    @TempDir
    Path folder;

    /** Both engines on one checkpoint. */
    private record Engines(LanguageModel torch, LanguageModel java) implements AutoCloseable {
        @Override
        public void close() {
            torch.close();
            java.close();
        }
    }

    private Engines open(LanguageNetwork network) {
        Path checkpoint = folder.resolve("checkpoint");
        network.save(checkpoint);
        return new Engines(new TorchLanguageModel(network), LanguageModel.open(checkpoint));
    }

    private static int[] text(int length, int vocabulary, long seed) {
        return new SplittableRandom(seed).ints(length, 0, vocabulary).toArray();
    }

    private static float[][] score(LanguageModel model, int[] tokens) {
        float[][] all = new float[tokens.length][];
        try (State state = model.newState()) {
            model.score(state, tokens, 0, (position, logits) -> all[position] = logits.clone());
        }
        return all;
    }

    private static void assertClose(float[][] actual, float[][] expected) {
        for (int t = 0; t < expected.length; t++) {
            assertThat(actual[t])
                    .as("after token %d", t)
                    .usingComparatorWithPrecision(1e-4f)
                    .containsExactly(expected[t]);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "1, 8, 1, 1, 1, 1, false",
        "5, 24, 3, 8, 2, 4, true",
        "97, 64, 2, 16, 2, 4, false",
        "300, 40, 2, 17, 3, 2, true",
        "64, 33, 1, 64, 1, 5, false"
    })
    void logitsAreEqualForAllSizes(
            int vocabulary, int width, int layers, int states, int expand, int taps, boolean biased) {
        MambaConfig config = MambaConfig.builder()
                .vocabSize(vocabulary)
                .dModel(width)
                .nLayer(layers)
                .dState(states)
                .expand(expand)
                .dConv(taps)
                .useBias(biased)
                .useConvBias(!biased)
                .tieEmbeddings(!biased)
                .build();
        try (Engines engines = open(Mamba.create(config, Gpu.kernelsUnderTest(), 3))) {
            int[] tokens = text(700, vocabulary, 1);
            assertClose(score(engines.java(), tokens), score(engines.torch(), tokens));
            try (State java = engines.java().newState();
                    State torch = engines.torch().newState()) {
                for (int token : Arrays.copyOf(tokens, 40)) {
                    engines.java().step(java, token);
                    engines.torch().step(torch, token);
                    assertClose(
                            new float[][] {engines.java().logits(java)},
                            new float[][] {engines.torch().logits(torch)});
                }
            }
        }
    }

    static Stream<MemoryConfig> variants() {
        return MemoryVariants.all();
    }

    @ParameterizedTest
    @MethodSource("variants")
    void memoriesAreEqualHoweverATextIsRead(MemoryConfig memory) {
        int length = 300;
        try (Engines engines = open(MemoryModels.random(memory, 1))) {
            int[] tokens = MemoryModels.text(length, 2);
            // Scores here lie thousands of roundings apart, so no selection flips between engines.
            float[][] expected = score(engines.torch(), tokens);
            assertClose(score(engines.java(), tokens), expected);
            try (State steps = engines.java().newState();
                    State parts = engines.java().newState()) {
                for (int t = 0; t < length; t++) {
                    engines.java().step(steps, tokens[t]);
                    assertClose(new float[][] {engines.java().logits(steps)}, new float[][] {expected[t]});
                }
                for (int from = 0, to = 1; from < length; from = to, to = Math.min(length, to + 7)) {
                    engines.java().prefill(parts, Arrays.copyOfRange(tokens, from, to));
                    assertClose(new float[][] {engines.java().logits(parts)}, new float[][] {expected[to - 1]});
                }
            }
        }
    }

    @Test
    void embeddingsProbabilitiesAndContinuationsAreEqual() {
        int[] tokens = MemoryModels.text(1100, 4); // more than a chunk of either
        try (Engines engines = open(
                        MemoryModels.random(MemoryVariants.all().findFirst().orElseThrow(), 1));
                State torch = engines.torch().newState();
                State java = engines.java().newState()) {
            for (Pooling pooling : Pooling.values()) {
                assertClose(
                        new float[][] {engines.java().embed(java, tokens, pooling)},
                        new float[][] {engines.torch().embed(torch, tokens, pooling)});
            }
            assertThat(engines.java().logProbabilities(java, tokens))
                    .usingComparatorWithPrecision(1e-3)
                    .containsExactly(engines.torch().logProbabilities(torch, tokens));
            List<int[]> prompts = List.of(tokens, new int[] {1}, Arrays.copyOf(tokens, 40));
            GenerationOptions greedy =
                    GenerationOptions.DEFAULTS.withMaxNewTokens(20).withSampling(SamplingOptions.GREEDY);
            assertThat(engines.java().generate(prompts, greedy))
                    .containsExactly(engines.torch().generate(prompts, greedy).toArray(int[][]::new));
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void memoriesContinueInTheOtherEngineAndBack(MemoryConfig memory) {
        try (Engines engines = open(MemoryModels.random(memory, 3))) {
            for (int cut : new int[] {0, 1, 30, 32, 131}) {
                continueInTheOther(engines.torch(), engines.java(), MemoryModels.VOCABULARY, cut);
                continueInTheOther(engines.java(), engines.torch(), MemoryModels.VOCABULARY, cut);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void withoutItsNotesAMemMambaIsTheMambaOfItsOtherWeights(MemoryConfig memory) {
        int[] tokens = MemoryModels.text(200, 9);
        try (MemMamba network = MemoryModels.random(memory, 4);
                Mamba mamba = Mamba.create(network.config().mamba(), MambaKernels.fused(), 77)) {
            for (Parameter parameter : mamba.parameters()) {
                NoGrad.run(() -> parameter
                        .tensor()
                        .copy_(network.weights().get(parameter.name()).detach().cpu()));
            }
            Path checkpoint = folder.resolve("checkpoint");
            network.save(checkpoint);
            float[][] expected = score(new TorchLanguageModel(mamba), tokens);
            float[][] reading = score(new TorchLanguageModel(network), tokens);
            try (Checkpoint opened = Checkpoint.open(checkpoint).withoutNotes();
                    LanguageModel torch = TorchLanguageModel.of(opened, MambaKernels.fused());
                    LanguageModel java =
                            JavaLanguageModel.open(Checkpoint.open(checkpoint).withoutNotes());
                    LanguageModel noting = LanguageModel.open(checkpoint);
                    State state = java.newState()) {
                assertThat(score(torch, tokens)).isDeepEqualTo(expected);
                assertClose(score(java, tokens), expected);
                assertThat(reading[199]).isNotEqualTo(expected[199]);
                assertThat(opened.has("backbone.layers.1.memory.threshold")).isFalse();
                assertThatThrownBy(() -> noting.prefill(state, tokens)).hasMessageContaining("another model");
                assertThatThrownBy(opened::withoutNotes)
                        .isInstanceOf(UserError.class)
                        .hasMessageContaining("takes no notes");
            }
        }
    }

    @Test
    void aStateContinuesInTheOtherEngineAndBack() {
        MambaConfig config =
                MambaConfig.builder().vocabSize(50).dModel(32).nLayer(3).build();
        try (Engines engines = open(Mamba.create(config, Gpu.kernelsUnderTest(), 4))) {
            continueInTheOther(engines.torch(), engines.java(), 50, 101);
            continueInTheOther(engines.java(), engines.torch(), 50, 101);
        }
    }

    private void continueInTheOther(LanguageModel from, LanguageModel to, int vocabulary, int cut) {
        Path file = folder.resolve("state");
        try (State state = from.newState()) {
            from.prefill(state, text(cut, vocabulary, 5));
            state.save(file);
            try (State other = to.loadState(file);
                    State copy = other.copy()) {
                assertThat(other.tokensSeen()).isEqualTo(cut);
                from.prefill(state, text(33, vocabulary, 6));
                to.prefill(other, text(33, vocabulary, 6));
                assertClose(new float[][] {to.logits(other)}, new float[][] {from.logits(state)});
                to.prefill(copy, text(33, vocabulary, 6));
                assertThat(to.logits(copy)).isEqualTo(to.logits(other));
            }
        }
    }
}
