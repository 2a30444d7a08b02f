package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.inference.State;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MambaUNetConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.PoolingConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

class MambaUNetTest {
    private static final int VOCABULARY = 19;

    private static MambaUNetConfig config(int pools, int size) {
        MambaConfig mamba = MambaConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(12)
                .nLayer(1)
                .dState(4)
                .initializerRange(1)
                .eosTokenId(3)
                .build();
        return new MambaUNetConfig(mamba, new PoolingConfig(pools, size, 2));
    }

    private static LanguageNetwork network(MambaUNetConfig config) {
        return LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 5);
    }

    private static int[] text(int length) {
        return new SplittableRandom(7).ints(length, 0, VOCABULARY).toArray();
    }

    private static float[][] whole(LanguageNetwork network, int[] tokens) {
        float[] all = NoGrad.call(() -> TensorScope.call(
                () -> Tensors.toFloats(network.forward(Tensors.ofTokens(tokens, 0, 1, tokens.length)))));
        float[][] rows = new float[tokens.length][];
        Arrays.setAll(rows, t -> Arrays.copyOfRange(all, t * VOCABULARY, (t + 1) * VOCABULARY));
        return rows;
    }

    private static void assertClose(String what, float[] actual, float[] expected) {
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i])
                    .as(what + " at " + i)
                    .isCloseTo(expected[i], org.assertj.core.data.Offset.offset(2e-4f));
        }
    }

    @Test
    void aLaterTokenChangesNothing() {
        int[] tokens = text(41);
        try (LanguageNetwork network = network(config(2, 3))) {
            float[][] before = whole(network, tokens);
            for (int changed : new int[] {0, 8, 9, 26, 27, 40}) {
                int[] other = tokens.clone();
                other[changed] = (other[changed] + 1) % VOCABULARY;
                float[][] after = whole(network, other);
                for (int t = 0; t < changed; t++) {
                    assertClose("token " + t + " before " + changed, after[t], before[t]);
                }
                assertThat(after[changed]).isNotEqualTo(before[changed]);
            }
        }
    }

    @Test
    void readingInPartsIsReadingAtOnce() {
        int[] tokens = text(59);
        for (int size : new int[] {2, 3, 4}) {
            try (LanguageNetwork network = network(config(2, size))) {
                float[][] expected = whole(network, tokens);
                TorchLanguageModel model = new TorchLanguageModel(network);
                for (int part : new int[] {1, 2, 5, 16, 58}) {
                    try (State state = model.newState()) {
                        for (int from = 0; from < tokens.length; from += part) {
                            int to = Math.min(tokens.length, from + part);
                            model.prefill(state, Arrays.copyOfRange(tokens, from, to));
                            assertClose("parts of " + part + ", token " + to, model.logits(state), expected[to - 1]);
                        }
                    }
                }
            }
        }
    }

    @Test
    void aStateGoesOnFromAFile(@TempDir Path folder) {
        int[] tokens = text(30);
        try (LanguageNetwork network = network(config(1, 4))) {
            TorchLanguageModel model = new TorchLanguageModel(network);
            try (State state = model.newState()) {
                model.prefill(state, Arrays.copyOf(tokens, 22));
                state.save(folder.resolve("state"));
                model.prefill(state, Arrays.copyOfRange(tokens, 22, 30));
                try (State other = model.loadState(folder.resolve("state"))) {
                    model.prefill(other, Arrays.copyOfRange(tokens, 22, 30));
                    assertThat(model.logits(other)).isEqualTo(model.logits(state));
                }
            }
        }
    }

    /** With nothing coming up, the outer stages are a Mamba. */
    @Test
    void withoutItsInsideItIsAMamba() {
        MambaUNetConfig config = config(1, 4);
        int[] tokens = text(37);
        MambaConfig outer = config.mamba().toBuilder().nLayer(2).build();
        try (LanguageNetwork network = network(config);
                LanguageNetwork mamba = LanguageNetwork.create(outer, Gpu.kernelsUnderTest(), 9)) {
            NoGrad.run(() -> TensorScope.run(() -> {
                network.weights().get("backbone.pools.0.up.weight").zero_();
                for (Parameter parameter : mamba.parameters()) {
                    String name = parameter.name().replace("layers.1.", "layers.2.");
                    parameter.tensor().copy_(network.weights().get(name));
                }
            }));
            float[][] expected = whole(mamba, tokens);
            float[][] actual = whole(network, tokens);
            for (int t = 0; t < tokens.length; t++) {
                assertClose("token " + t, actual[t], expected[t]);
            }
        }
    }

    /** With blocks that add nothing, what is left is pooling: computed here number by number. */
    @Test
    void poolsAreTheProjectionsOfTheGroupBefore() {
        MambaUNetConfig config = config(1, 3);
        int[] tokens = text(14);
        int d = config.dModel();
        try (LanguageNetwork network = network(config)) {
            NoGrad.run(() -> TensorScope.run(() -> network.parameters().stream()
                    .filter(parameter -> parameter.name().endsWith("out_proj.weight"))
                    .forEach(parameter -> parameter.tensor().zero_())));
            float[] embedding = Tensors.toFloats(network.weights().get("backbone.embeddings.weight"));
            float[] down = Tensors.toFloats(network.weights().get("backbone.pools.0.down.weight")); // (2d, 3d)
            float[] up = Tensors.toFloats(network.weights().get("backbone.pools.0.up.weight")); // (3d, 2d)
            float[][] actual = whole(network, tokens);
            for (int t = 0; t < tokens.length; t++) {
                double[] x = new double[d];
                for (int i = 0; i < d; i++) {
                    x[i] = embedding[tokens[t] * d + i];
                    for (int k = 0; t >= 3 && k < 2 * d; k++) {
                        double inside = 0;
                        for (int j = 0; j < 3 * d; j++) {
                            int before = tokens[t / 3 * 3 - 3 + j / d];
                            inside += down[k * 3 * d + j] * embedding[before * d + j % d];
                        }
                        x[i] += up[(t % 3 * d + i) * 2 * d + k] * inside;
                    }
                }
                double square = Arrays.stream(x).map(each -> each * each).sum() / d;
                float[] expected = new float[VOCABULARY];
                for (int v = 0; v < VOCABULARY; v++) {
                    for (int i = 0; i < d; i++) {
                        expected[v] += (float)
                                (x[i] / Math.sqrt(square + config.mamba().normEpsilon()) * embedding[v * d + i]);
                    }
                }
                assertClose("token " + t, actual[t], expected);
            }
        }
    }

    @Test
    void itLearns() {
        int[] tokens = text(50);
        try (LanguageNetwork network = network(config(2, 3))) {
            double first = 0;
            double last = 0;
            for (int step = 0; step < 40; step++) {
                last = TensorScope.call(() -> {
                    Tensor loss = network.loss(Tensors.ofTokens(tokens, 0, 1, 49), Tensors.ofTokens(tokens, 1, 1, 49));
                    double value = loss.item_float();
                    loss.backward();
                    NoGrad.run(() -> network.parameters().forEach(parameter -> {
                        Tensor tensor = parameter.tensor();
                        assertThat(tensor.grad().defined()).as(parameter.name()).isTrue();
                        tensor.sub_(tensor.grad().mul(new Scalar(0.05)));
                        tensor.grad().zero_();
                    }));
                    return value;
                });
                first = step == 0 ? last : first;
            }
            assertThat(last).isLessThan(0.8 * first);
        }
    }

    private static ModelConfig read(String json) {
        return ModelConfig.fromJson(Json.parse(json.getBytes(StandardCharsets.UTF_8), "config.json"), "config.json");
    }

    @Test
    void itsConfigurationIsWrittenAndReadAgain() {
        MambaUNetConfig config = config(3, 5);
        assertThat(read(JsonText.compact(config.toJson()))).isEqualTo(config);
        String start = "{\"model_type\":\"mamba_unet\",\"vocab_size\":9,\"hidden_size\":16,\"num_hidden_layers\":3";
        MambaUNetConfig defaults = (MambaUNetConfig) read(start + "}");
        assertThat(defaults.pooling()).isEqualTo(PoolingConfig.DEFAULTS);
        assertThat(defaults.nLayer()).isEqualTo(15);
        assertThat(defaults.at(2).dModel()).isEqualTo(64);
        assertThatThrownBy(() -> read(start + ",\"unet_pool\":3}"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("unet_pool");
        assertThatThrownBy(() -> read(start + ",\"unet_pool_size\":1}")).isInstanceOf(UserError.class);
        assertThatThrownBy(() -> read(start + ",\"unet_pools\":8,\"unet_widening\":8}"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("unet_widening");
    }
}
