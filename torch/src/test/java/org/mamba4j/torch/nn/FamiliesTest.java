package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.TestSeed;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.model.LlamaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.RecurrentConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** Every option of the families that Mamba is compared with: against plain float64, and streamed against the graph. */
class FamiliesTest {
    private static final int VOCABULARY = FamilyConfigs.VOCABULARY;

    @TempDir
    Path folder;

    static Stream<ModelConfig> configs() {
        return FamilyConfigs.all();
    }

    /** Initial values, and vectors that are not all the same. */
    private static LanguageNetwork network(ModelConfig config) {
        LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 11);
        SplittableRandom random = new SplittableRandom(5);
        for (Parameter parameter : network.parameters()) {
            Tensor tensor = parameter.tensor();
            if (tensor.dim() == 1) {
                float[] noise = new float[(int) tensor.numel()];
                for (int i = 0; i < noise.length; i++) {
                    noise[i] = (float) (random.nextDouble() - 0.5);
                }
                NoGrad.run(() -> TensorScope.run(
                        () -> tensor.add_(Tensors.on(network.kernels().device(), Tensors.of(noise, noise.length)))));
            }
        }
        return network;
    }

    private static int[] text(int length) {
        return new SplittableRandom(3).ints(length, 0, VOCABULARY).toArray();
    }

    private static float[][] graph(LanguageNetwork network, int[] tokens) {
        float[] all = TensorScope.call(
                () -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 1, tokens.length))));
        float[][] rows = new float[tokens.length][];
        for (int t = 0; t < rows.length; t++) {
            rows[t] = Arrays.copyOfRange(all, t * VOCABULARY, (t + 1) * VOCABULARY);
        }
        return rows;
    }

    private static void assertClose(String what, float[] actual, float[] expected) {
        assertThat(actual).as(what).usingComparatorWithPrecision(1e-4f).containsExactly(expected);
    }

    @ParameterizedTest
    @MethodSource("configs")
    void logitsAreThoseOfThePlainEquations(ModelConfig config) {
        int[] tokens = text(40);
        try (LanguageNetwork network = network(config)) {
            float[][] actual = graph(network, tokens);
            double[][] expected = PlainFamilies.logits(network, tokens);
            for (int t = 0; t < tokens.length; t++) {
                double greatest = 0;
                for (int i = 0; i < VOCABULARY; i++) {
                    assertThat((double) actual[t][i])
                            .as("token %d", t)
                            .isCloseTo(expected[t][i], within(expected[t][i]));
                    greatest = Math.max(greatest, Math.abs(expected[t][i]));
                }
                assertThat(greatest).isGreaterThan(0.05); // else nothing was compared
            }
        }
    }

    private static Offset<Double> within(double value) {
        return Offset.offset(1e-4 * Math.max(1, Math.abs(value)));
    }

    @ParameterizedTest
    @MethodSource("configs")
    void howeverATextIsReadItIsTheSame(ModelConfig config) {
        int[] tokens = text(90);
        long seed = TestSeed.of("FamiliesTest");
        SplittableRandom random = new SplittableRandom(seed);
        try (LanguageNetwork network = network(config)) {
            float[][] expected = graph(network, tokens);
            TorchLanguageModel model = new TorchLanguageModel(network);
            try (State steps = model.newState();
                    State parts = model.newState()) {
                for (int t = 0; t < tokens.length; t++) {
                    model.step(steps, tokens[t]);
                    assertClose("step " + t, model.logits(steps), expected[t]);
                }
                for (int from = 0; from < tokens.length; ) {
                    int to = Math.min(tokens.length, from + random.nextInt(25));
                    model.prefill(parts, Arrays.copyOfRange(tokens, from, to));
                    from = to;
                    if (to > 0) {
                        assertClose("seed " + seed + ", after " + to, model.logits(parts), expected[to - 1]);
                    }
                }
                assertThat(parts.tokensSeen()).isEqualTo(tokens.length);
                assertThat(parts.sizeInBytes()).isEqualTo(config.stateBytes(tokens.length));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("configs")
    void statesAreCopiedSavedForgottenAndLeftAloneByErrors(ModelConfig config) {
        int[] tokens = text(70);
        int[] rest = Arrays.copyOfRange(tokens, 50, 70);
        Path file = folder.resolve("state");
        try (LanguageNetwork network = network(config)) {
            float[] expected = graph(network, tokens)[69];
            TorchLanguageModel model = new TorchLanguageModel(network);
            try (State state = model.newState()) {
                state.save(file);
                try (State empty = model.loadState(file)) {
                    model.prefill(empty, tokens);
                    assertClose("from an empty file", model.logits(empty), expected);
                }
                model.prefill(state, Arrays.copyOf(tokens, 50));
                state.save(file);
                try (State copy = state.copy();
                        State loaded = model.loadState(file)) {
                    model.prefill(state, text(33)); // the others do not see this
                    assertThatThrownBy(() -> model.prefill(copy, new int[] {1, VOCABULARY}))
                            .isInstanceOf(UserError.class);
                    for (State one : new State[] {copy, loaded}) {
                        assertThat(one.tokensSeen()).isEqualTo(50);
                        model.prefill(one, rest);
                        assertClose("continued", model.logits(one), expected);
                    }
                }
                state.reset();
                assertThat(state.tokensSeen()).isZero();
                model.prefill(state, tokens);
                assertClose("after reset", model.logits(state), expected);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("configs")
    void aCheckpointIsTheSameModel(ModelConfig config) {
        int[] tokens = text(20);
        Path saved = folder.resolve("saved");
        try (LanguageNetwork network = network(config)) {
            network.save(saved);
            try (Checkpoint checkpoint = Checkpoint.open(saved);
                    LanguageNetwork again = LanguageNetwork.load(checkpoint, network.kernels())) {
                assertThat(checkpoint.config()).isEqualTo(config);
                assertThat(graph(again, tokens)).isDeepEqualTo(graph(network, tokens));
            }
        }
        assertThatThrownBy(() -> LanguageModel.open(saved))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("take the engine torch");
    }

    @ParameterizedTest
    @MethodSource("configs")
    void itLearns(ModelConfig config) {
        int[] tokens = text(48);
        double rate = config instanceof RecurrentConfig ? 1.5 : 0.1; // gates hand down little of a gradient
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 2)) {
            double[] losses = new double[60];
            for (int step = 0; step < losses.length; step++) {
                losses[step] = TensorScope.call(() -> {
                    Tensor loss = network.loss(Tensors.ofTokens(tokens, 0, 3, 15), Tensors.ofTokens(tokens, 1, 3, 15));
                    loss.backward();
                    double value = loss.item_float();
                    NoGrad.run(() -> network.parameters().forEach(parameter -> {
                        Tensor tensor = parameter.tensor();
                        assertThat(tensor.grad().defined()).as(parameter.name()).isTrue();
                        tensor.sub_(tensor.grad().mul(new Scalar(rate)));
                        tensor.grad().zero_();
                    }));
                    return value;
                });
            }
            assertThat(losses[59]).isLessThan(0.8 * losses[0]);
        }
    }

    /** So long that queries pass in pieces: a GPU reads texts in longer parts than a CPU. */
    @Test
    void queriesThatLookFarBackPassInPieces() {
        int length = 2 * Attention.MASKED_QUERIES + 300;
        int before = 200;
        SplittableRandom random = new SplittableRandom(8);
        float[] numbers = new float[4 * 2 * length];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = (float) (4 * random.nextDouble() - 2);
        }
        TensorScope.run(() -> {
            Tensor q = Tensors.of(numbers, 1, 4, length, 2);
            Tensor k = q.narrow(1, 0, 2).neg();
            Tensor v = q.narrow(1, 2, 2);
            Tensor whole = Attention.attend(q, k, v); // (1, L, 8)
            Tensor later = Attention.attend(q.narrow(2, before, length - before), k, v);
            assertClose(
                    "later queries",
                    Tensors.toFloats(later),
                    Tensors.toFloats(whole.narrow(1, before, length - before)));
        });
    }

    /** Where the paper's own scales, zeta to the power of a position, would have left float32's range. */
    @Test
    void xposReachesAsFarAsATextGoes() {
        LlamaConfig config = LlamaConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(8)
                .nLayer(1)
                .nHeads(1)
                .dMlp(0)
                .positions("xpos")
                .xposScaleBase(4)
                .initializerRange(0.5)
                .build();
        int[] tokens = text(Attention.MASKED_QUERIES + 500);
        try (LanguageNetwork network = network(config)) {
            float[][] whole = graph(network, tokens);
            // A product fades to nothing over 500 tokens in all pairs but the last, so it must be computed for each.
            TorchLanguageModel model = new TorchLanguageModel(network);
            try (State state = model.newState()) {
                model.prefill(state, Arrays.copyOf(tokens, tokens.length - 3));
                for (int t = tokens.length - 3; t < tokens.length; t++) {
                    model.step(state, tokens[t]);
                    assertClose("token " + t, model.logits(state), whole[t]);
                }
            }
            for (float number : whole[tokens.length - 1]) {
                assertThat(number).isFinite();
            }
        }
    }

    @Test
    void learnedPositionsEnd() {
        LlamaConfig config = LlamaConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(8)
                .nLayer(1)
                .nHeads(1)
                .dMlp(8)
                .positions("learned")
                .maxPositions(10)
                .build();
        try (LanguageNetwork network = network(config);
                State state = new TorchLanguageModel(network).newState()) {
            TorchLanguageModel model = new TorchLanguageModel(network);
            model.prefill(state, text(9));
            assertThatThrownBy(() -> model.prefill(state, text(2)))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("learned positions of 10");
            assertThat(state.tokensSeen()).isEqualTo(9);
            model.step(state, 1);
            assertThat(state.tokensSeen()).isEqualTo(10);
        }
    }
}
