package org.mamba4j.torch.nn;

import java.util.List;
import java.util.stream.Stream;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.GptNeoxConfig;
import org.mamba4j.model.LlamaConfig;
import org.mamba4j.model.Mamba2Config;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.RecurrentConfig;

/** Small models of the families that Mamba is compared with, every option in one of them. */
public final class FamilyConfigs {
    /** Tokens that they know. */
    public static final int VOCABULARY = 61;

    private FamilyConfigs() {}

    /** Of every kind. */
    public static Stream<ModelConfig> all() {
        return Stream.concat(published(), composed());
    }

    /** Transformers, Mamba-2, recurrent networks. */
    public static Stream<ModelConfig> published() {
        LlamaConfig llama = LlamaConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(32)
                .nLayer(2)
                .nHeads(4)
                .dMlp(40)
                .initializerRange(0.25)
                .build();
        GptNeoxConfig neox = GptNeoxConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(32)
                .nLayer(2)
                .nHeads(2)
                .dMlp(40)
                .initializerRange(0.25)
                .build();
        Mamba2Config mamba = Mamba2Config.builder()
                .vocabSize(VOCABULARY)
                .dModel(24)
                .nLayer(2)
                .dState(12)
                .headSize(8)
                .chunkSize(7)
                .build();
        RecurrentConfig recurrent = RecurrentConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(24)
                .nLayer(2)
                .initializerRange(1)
                .build();
        return Stream.of(
                recurrent,
                recurrent.toBuilder().cell("gru").build(),
                recurrent.toBuilder().residual(true).normEpsilon(0.1).build(),
                recurrent.toBuilder()
                        .cell("gru")
                        .residual(true)
                        .tieEmbeddings(true)
                        .nLayer(1)
                        .build(),
                llama,
                llama.toBuilder()
                        .nKvHeads(2)
                        .attentionBias(true)
                        .ropeTheta(500)
                        .ropeType("linear")
                        .ropeFactor(3)
                        .activation("gelu")
                        .build(),
                llama.toBuilder()
                        .nKvHeads(1)
                        .headSize(6)
                        .mlpBias(true)
                        .tieEmbeddings(true)
                        .normEpsilon(0.1)
                        .ropeType("llama3")
                        .ropeFactor(4)
                        .ropeOriginalLength(200)
                        .activation("gelu_pytorch_tanh")
                        .build(),
                llama.toBuilder()
                        .positions("xpos")
                        .xposScaleBase(20)
                        .nKvHeads(2)
                        .build(),
                llama.toBuilder().positions("sinusoidal").dMlp(0).build(),
                llama.toBuilder()
                        .positions("learned")
                        .maxPositions(90)
                        .tieEmbeddings(true)
                        .build(),
                llama.toBuilder().positions("none").dMlp(0).build(),
                neox,
                neox.toBuilder()
                        .parallelResidual(false)
                        .attentionBias(false)
                        .rotaryFraction(1)
                        .activation("relu")
                        .normEpsilon(0.1)
                        .build(),
                neox.toBuilder()
                        .rotaryFraction(0)
                        .tieEmbeddings(true)
                        .activation("silu")
                        .build(),
                mamba,
                mamba.toBuilder()
                        .nGroups(3)
                        .useBias(true)
                        .useConvBias(false)
                        .dtLow(0.02)
                        .dtHigh(0.3)
                        .dConv(3)
                        .build(),
                mamba.toBuilder()
                        .expand(1)
                        .nHeads(Mamba2Config.AUTO)
                        .nGroups(1)
                        .dConv(1)
                        .chunkSize(256)
                        .tieEmbeddings(true)
                        .normEpsilon(0.1)
                        .rescalePrenormResidual(true)
                        .build());
    }

    /** Shapes of block and inner layers of every kind. */
    public static Stream<ComposedConfig> composed() {
        ComposedConfig.Builder small = ComposedConfig.builder()
                .vocabSize(VOCABULARY)
                .dModel(16)
                .nLayer(2)
                .dState(6)
                .initializerRange(0.25);
        ComposedConfig mamba = small.build();
        ComposedConfig plain = mamba.toBuilder().block("plain").build();
        ComposedConfig h3 = mamba.toBuilder().block("h3").mlp("gated").dMlp(20).build();
        ComposedConfig.Builder hyena =
                mamba.toBuilder().innerLayer("hyena").dState(0).kernelLength(50);
        return Stream.of(
                h3,
                h3.toBuilder().innerLayer("s4d").dConv(5).build(),
                h3.toBuilder().innerLayer("s4d").dConv(3).mlp("none").dMlp(0).build(),
                hyena.build(),
                hyena.block("h3").build(),
                hyena.block("plain").mlp("gated").dMlp(20).build(),
                mamba,
                mamba.toBuilder()
                        .aInit("half")
                        .selective("b-c")
                        .dConv(2)
                        .expand(1)
                        .dtRank(3)
                        .build(),
                mamba.toBuilder()
                        .innerLayer("s4d")
                        .tieEmbeddings(false)
                        .rescalePrenormResidual(false)
                        .build(),
                plain.toBuilder().aInit("random").normEpsilon(0.1).build(),
                mamba.toBuilder().aInit("lin").build(),
                plain.toBuilder().aInit("inv").selective("delta").build(),
                mamba.toBuilder().selective("delta-b").expand(1).build(),
                mamba.toBuilder().selective("c").expand(1).build(),
                plain.toBuilder().selective("none").build(),
                plain.toBuilder().innerLayer("s4").kernelLength(64).build(),
                mamba.toBuilder().innerLayer("s4").kernelLength(9).dState(4).build(),
                plain.toBuilder().innerLayer("s4d").build(),
                plain.toBuilder().innerLayer("s4d").aInit("legs").build(),
                plain.toBuilder()
                        .innerLayer("s4d")
                        .aInit("real")
                        .discretisation("bilinear")
                        .dtMax(1)
                        .dtMin(0.1)
                        .build(),
                plain.toBuilder()
                        .innerLayer("s4d")
                        .aInit("inv")
                        .discretisation("bilinear")
                        .build(),
                // Hybrids: states of other sizes, real beside complex, a window beside what keeps the text.
                mamba.toBuilder()
                        .nLayer(4)
                        .innerLayers(List.of("s4d", "s6", "s6", "s4d"))
                        .dState(0)
                        .build(),
                mamba.toBuilder()
                        .nLayer(3)
                        .innerLayers(List.of("s6", "s4", "s4d"))
                        .aInit("lin")
                        .kernelLength(64)
                        .build(),
                h3.toBuilder()
                        .nLayer(3)
                        .innerLayers(List.of("hyena", "s4d", "s6"))
                        .selective("delta-c")
                        .kernelLength(50)
                        .build());
    }
}
