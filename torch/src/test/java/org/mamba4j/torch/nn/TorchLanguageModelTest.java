package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.TestSeed;
import org.mamba4j.UserError;
import org.mamba4j.inference.State;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

class TorchLanguageModelTest {
    private static final MambaConfig CONFIG = MambaConfig.builder()
            .vocabSize(97)
            .dModel(24)
            .nLayer(3)
            .dState(8)
            .useBias(true)
            .tieEmbeddings(false)
            .build();

    private Mamba network;
    private TorchLanguageModel model;

    @BeforeEach
    void create() {
        network = Mamba.create(CONFIG, MambaKernels.fused(), 5);
        model = new TorchLanguageModel(network);
    }

    @AfterEach
    void close() {
        model.close();
    }

    private static int[] tokens(int count, long seed) {
        Random random = new Random(seed);
        return IntStream.generate(() -> random.nextInt(97)).limit(count).toArray();
    }

    @Test
    void streamingEqualsTheTrainingGraph() {
        int[] tokens = tokens(50, 1);
        float[] all = TensorScope.call(() -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 1, 50))));
        try (State state = model.newState()) {
            for (int t = 0; t < tokens.length; t++) {
                model.step(state, tokens[t]);
                assertClose(model.logits(state), Arrays.copyOfRange(all, t * 97, (t + 1) * 97));
            }
        }
        try (State state = model.newState()) {
            model.prefill(state, tokens);
            assertClose(model.logits(state), Arrays.copyOfRange(all, 49 * 97, 50 * 97));
        }
    }

    @Test
    void anySplitEqualsTheWhole() {
        int[] tokens = tokens(2 * TorchLanguageModel.CHUNK + 37, 2);
        long seed = TestSeed.of("TorchLanguageModelTest");
        Random random = new Random(seed);
        try (State whole = model.newState()) {
            model.prefill(whole, tokens);
            for (int round = 0; round < 3; round++) {
                try (State parts = model.newState()) {
                    int from = 0;
                    while (from < tokens.length) {
                        int to = Math.min(tokens.length, from + random.nextInt(600));
                        model.prefill(parts, Arrays.copyOfRange(tokens, from, to));
                        from = to;
                    }
                    assertThat(parts.tokensSeen()).isEqualTo(tokens.length);
                    assertThat(difference(model.logits(parts), model.logits(whole)))
                            .as("seed %d", seed)
                            .isLessThan(1e-4);
                }
            }
        }
    }

    @Test
    void theFutureDoesNotReachThePast() {
        int[] tokens = tokens(40, 3);
        float[] before = TensorScope.call(() -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 1, 40))));
        tokens[25] = (tokens[25] + 1) % 97;
        float[] after = TensorScope.call(() -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 1, 40))));
        assertThat(Arrays.copyOf(after, 25 * 97)).isEqualTo(Arrays.copyOf(before, 25 * 97));
        assertThat(Arrays.copyOfRange(after, 25 * 97, 26 * 97))
                .isNotEqualTo(Arrays.copyOfRange(before, 25 * 97, 26 * 97));
    }

    @Test
    void batchItemsDoNotSeeEachOther() {
        int[] tokens = tokens(40, 4);
        float[] both = TensorScope.call(() -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 2, 20))));
        float[] second = TensorScope.call(() -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 20, 1, 20))));
        assertClose(Arrays.copyOfRange(both, 20 * 97, 40 * 97), second);
    }

    @Test
    void scoringHandsOverTheLogitsOfEachPositionAndMovesTheState() {
        int[] tokens = tokens(TorchLanguageModel.CHUNK + 60, 5);
        int from = TorchLanguageModel.CHUNK - 20;
        float[][] scored = new float[tokens.length][];
        try (State state = model.newState();
                State steps = model.newState()) {
            model.score(state, tokens, from, (position, logits) -> scored[position] = logits.clone());
            model.prefill(steps, Arrays.copyOf(tokens, from));
            for (int t = 0; t < tokens.length; t++) {
                if (t < from) {
                    assertThat(scored[t]).as("position %d", t).isNull();
                } else {
                    model.step(steps, tokens[t]);
                    assertClose(scored[t], model.logits(steps));
                }
            }
            assertThat(state.tokensSeen()).isEqualTo(tokens.length);
            assertClose(model.logits(state), model.logits(steps));
        }
    }

    @Test
    void aCopyContinuesAlikeAndAlone() {
        try (State state = model.newState()) {
            model.prefill(state, tokens(30, 6));
            try (State copy = state.copy()) {
                float[] before = model.logits(state);
                model.prefill(copy, tokens(10, 7));
                assertThat(model.logits(state)).isEqualTo(before);
                model.prefill(state, tokens(10, 7));
                assertThat(model.logits(state)).isEqualTo(model.logits(copy));
                assertThat(state.tokensSeen()).isEqualTo(copy.tokensSeen()).isEqualTo(40);
            }
        }
    }

    @Test
    void aResetStateEqualsANewOne() {
        int[] tokens = tokens(20, 8);
        try (State state = model.newState();
                State fresh = model.newState()) {
            model.prefill(state, tokens(30, 9));
            state.reset();
            assertThat(state.tokensSeen()).isZero();
            model.prefill(state, tokens);
            model.prefill(fresh, tokens);
            assertThat(model.logits(state)).isEqualTo(model.logits(fresh));
        }
    }

    @Test
    void aSavedStateContinuesBitForBit(@TempDir Path folder) {
        Path file = folder.resolve("state.safetensors");
        try (State state = model.newState()) {
            model.prefill(state, tokens(30, 10));
            state.save(file);
            try (State loaded = model.loadState(file)) {
                assertThat(loaded.tokensSeen()).isEqualTo(30);
                assertThat(model.logits(loaded)).isEqualTo(model.logits(state));
                model.prefill(loaded, tokens(5, 11));
                model.prefill(state, tokens(5, 11));
                assertThat(model.logits(loaded)).isEqualTo(model.logits(state));
            }
        }
    }

    @Test
    void aStateOfAnotherModelIsRefused(@TempDir Path folder) {
        Path file = folder.resolve("state.safetensors");
        try (TorchLanguageModel other = new TorchLanguageModel(Mamba.create(CONFIG, MambaKernels.fused(), 6));
                State state = other.newState()) {
            other.prefill(state, tokens(3, 1));
            state.save(file);
            assertThatThrownBy(() -> model.loadState(file))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("another model");
            assertThatThrownBy(() -> model.step(state, 1)).isInstanceOf(IllegalArgumentException.class);
        }
        assertThatThrownBy(() -> model.loadState(folder.resolve("missing"))).isInstanceOf(UserError.class);
    }

    @Test
    void aTokenOutOfRangeIsNamedAndChangesNothing() {
        try (State state = model.newState()) {
            model.prefill(state, tokens(5, 12));
            float[] before = model.logits(state);
            int[] bad = tokens(2 * TorchLanguageModel.CHUNK, 13);
            bad[bad.length - 1] = 97;
            assertThatThrownBy(() -> model.prefill(state, bad))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("token 97 at index " + (bad.length - 1))
                    .hasMessageContaining("vocabulary of 97");
            assertThatThrownBy(() -> model.step(state, -1))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("token -1");
            assertThat(model.logits(state)).isEqualTo(before);
            assertThat(state.tokensSeen()).isEqualTo(5);
        }
    }

    @Test
    void nothingReadIsNothingChangedAndHasNoLogits() {
        try (State state = model.newState()) {
            model.prefill(state, new int[0]);
            assertThat(state.tokensSeen()).isZero();
            assertThatThrownBy(() -> model.logits(state)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void aConsumersOwnFailureIsNotDisguised() throws Exception {
        try (State state = model.newState()) {
            assertThatThrownBy(() -> model.score(state, tokens(5, 14), 0, (position, logits) -> {
                        throw new IllegalStateException("enough");
                    }))
                    .isExactlyInstanceOf(IllegalStateException.class)
                    .hasMessage("enough");
        }
    }

    @Test
    void manyThreadsEachWithAState() throws Exception {
        int[] tokens = tokens(60, 15);
        float[] expected;
        try (State state = model.newState()) {
            model.prefill(state, tokens);
            expected = model.logits(state);
        }
        Callable<float[]> run = () -> {
            try (State state = model.newState()) {
                for (int token : tokens) {
                    model.step(state, token);
                }
                return model.logits(state);
            }
        };
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            for (var logits : threads.invokeAll(java.util.Collections.nCopies(8, run))) {
                assertClose(logits.get(), expected);
            }
        }
    }

    @Test
    void theStateHasItsSizeWhateverWasRead() throws Exception {
        try (State state = model.newState()) {
            assertThat(state.sizeInBytes()).isEqualTo(4L * (3 * (48 * 3 + 48 * 8) + 24));
            long before = TensorScope.liveObjects();
            model.prefill(state, tokens(3_000, 16));
            model.logits(state);
            assertThat(TensorScope.liveObjects()).isLessThanOrEqualTo(before);
            Path file = Files.createTempFile("state", ".safetensors");
            state.save(file);
            assertThat(Files.size(file)).isBetween(state.sizeInBytes(), state.sizeInBytes() + 2_000);
            Files.delete(file);
        }
    }

    private static void assertClose(float[] actual, float[] expected) {
        assertThat(difference(actual, expected)).isLessThan(1e-4);
    }

    private static double difference(float[] actual, float[] expected) {
        assertThat(actual).hasSameSizeAs(expected);
        double greatest = 0;
        for (int i = 0; i < actual.length; i++) {
            double difference = Math.abs(actual[i] - expected[i]);
            greatest = difference <= greatest ? greatest : difference; // NaN stays
        }
        return greatest;
    }
}
