package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.inference.State;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** What a composed model of Mamba's parts is: a Mamba. */
class ComposedTest {
    private static final int VOCABULARY = 61;

    @Test
    void ofMambasPartsIsAMamba() {
        MambaConfig mamba =
                MambaConfig.builder().vocabSize(VOCABULARY).dModel(24).nLayer(3).build();
        ComposedConfig composed = ComposedConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(24)
                .nLayer(3)
                .build();
        int[] tokens = new SplittableRandom(4).ints(2 * 50, 0, VOCABULARY).toArray();
        try (LanguageNetwork one = LanguageNetwork.create(mamba, Gpu.kernelsUnderTest(), 1);
                LanguageNetwork other = LanguageNetwork.create(composed, Gpu.kernelsUnderTest(), 2)) {
            assertThat(composed.parameters().stream().map(spec -> spec.name() + spec.shape()))
                    .containsExactlyElementsOf(mamba.parameters().stream()
                            .map(spec -> spec.name() + spec.shape())
                            .toList());
            NoGrad.run(() -> TensorScope.run(() -> one.parameters()
                    .forEach(parameter -> other.weights().get(parameter.name()).copy_(parameter.tensor()))));
            TensorScope.run(() -> {
                Tensor ids = Tensors.ofTokens(tokens, 0, 2, 50);
                assertThat(Tensors.toFloats(other.forward(ids)))
                        .usingComparatorWithPrecision(1e-5f)
                        .containsExactly(Tensors.toFloats(one.forward(ids)));
            });
        }
    }

    @Test
    void whatIsOfAStateSpaceDoesNotDecay() {
        ComposedConfig config = ComposedConfig.builder()
                .vocabSize(8)
                .dModel(8)
                .nLayer(1)
                .innerLayer("s4d")
                .build();
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 1)) {
            assertThat(network.parameters().stream().filter(Parameter::decays).map(Parameter::name))
                    .containsExactly(
                            "backbone.embeddings.weight",
                            "backbone.layers.0.mixer.in_proj.weight",
                            "backbone.layers.0.mixer.conv1d.weight",
                            "backbone.layers.0.mixer.out_proj.weight");
        }
    }

    /** A real B is 1 in every state, a complex one in every mode: 1, not 1 + i. */
    @Test
    void aConstantBIsOneAtFirst() {
        ComposedConfig config = ComposedConfig.builder()
                .vocabSize(8)
                .dModel(8)
                .nLayer(1)
                .dState(4)
                .selective("none")
                .build();
        assertThat(constantB(config)).startsWith(1, 1, 1, 1, 1);
        assertThat(constantB(config.toBuilder().aInit("lin").build())).startsWith(1, 0, 1, 0, 1);
    }

    private static float[] constantB(ComposedConfig config) {
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 1)) {
            return TensorScope.call(() -> Tensors.toFloats(network.weights().get("backbone.layers.0.mixer.B")));
        }
    }

    /** What S4 derives from its weights for streaming is kept, but not beyond them. */
    @Test
    void s4FollowsItsWeights() {
        ComposedConfig config = ComposedConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(8)
                .nLayer(1)
                .block("plain")
                .innerLayer("s4")
                .dState(8)
                .kernelLength(32)
                .build();
        int[] tokens = new SplittableRandom(4).ints(30, 0, VOCABULARY).toArray();
        try (LanguageNetwork network = LanguageNetwork.create(config, Gpu.kernelsUnderTest(), 1)) {
            float[] first = read(network, tokens);
            assertThat(first).usingComparatorWithPrecision(1e-4f).containsExactly(last(network, tokens));
            NoGrad.run(() -> TensorScope.run(() ->
                    network.parameters().forEach(parameter -> parameter.tensor().mul_(new Scalar(1.2)))));
            float[] second = read(network, tokens);
            assertThat(second).usingComparatorWithPrecision(1e-4f).containsExactly(last(network, tokens));
            assertThat(second).isNotEqualTo(first);
        }
    }

    private static float[] read(LanguageNetwork network, int[] tokens) {
        TorchLanguageModel model = new TorchLanguageModel(network);
        try (State state = model.newState()) {
            model.prefill(state, tokens);
            return model.logits(state);
        }
    }

    private static float[] last(LanguageNetwork network, int[] tokens) {
        return TensorScope.call(() -> Tensors.toFloats(
                network.forward(Tensors.ofTokens(tokens, 0, 1, tokens.length)).select(1, tokens.length - 1)));
    }
}
