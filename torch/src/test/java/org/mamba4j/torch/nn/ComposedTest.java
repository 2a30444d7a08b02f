package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
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
}
