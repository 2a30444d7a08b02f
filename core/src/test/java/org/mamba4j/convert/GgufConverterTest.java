package org.mamba4j.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.GgmlType;
import org.mamba4j.checkpoint.GgufFile;
import org.mamba4j.checkpoint.GgufValue;
import org.mamba4j.checkpoint.GgufWriter;
import org.mamba4j.checkpoint.Quantiser;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.inference.engine.RandomModels;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;
import org.mamba4j.text.Tokenizers;

/** A model is the same in a folder and in a GGUF file. */
class GgufConverterTest {
    private static final MambaConfig CONFIG =
            MambaConfig.builder().vocabSize(256).dModel(64).nLayer(2).build();

    @TempDir
    Path folder;

    private Path file = Path.of("");

    private Path model(MambaConfig config) {
        file = folder.resolve("model.gguf");
        return GgufModels.random(folder.resolve("model"), config, Tokenizers.bytes(), 7);
    }

    private static float[] logits(Path model) {
        int[] tokens = new SplittableRandom(3).ints(70, 0, 256).toArray();
        try (LanguageModel opened = LanguageModel.open(model);
                State state = opened.newState()) {
            opened.prefill(state, tokens);
            return opened.logits(state);
        }
    }

    /** Every shape that GGUF can express: rows that are no whole blocks, a head of its own, padding, few or many taps. */
    @Test
    void theSameModelGoesBothWays() throws IOException {
        List<MambaConfig> configs = List.of(
                CONFIG,
                CONFIG.toBuilder().dModel(50).dtRank(3).dState(5).build(),
                CONFIG.toBuilder().tieEmbeddings(false).vocabSize(264).build(),
                CONFIG.toBuilder().dConv(1).nLayer(1).eosTokenId(3).build(),
                CONFIG.toBuilder().dConv(6).normEpsilon(1e-6).bosTokenId(9).build());
        int number = 0;
        for (MambaConfig config : configs) {
            Path from = GgufModels.random(folder.resolve("from" + number), config, Tokenizers.bytes(), 7);
            file = folder.resolve("model" + number + ".gguf");
            Path back = folder.resolve("back" + number++);
            assertThat(GgufConverter.toFile(from, file, Optional.empty())).isEmpty();
            GgufConverter.toFolder(file, back, Optional.empty());
            try (Checkpoint a = Checkpoint.open(from);
                    Checkpoint b = Checkpoint.open(file);
                    Checkpoint c = Checkpoint.open(back)) {
                assertThat(b.config()).isEqualTo(config);
                assertThat(c.config()).isEqualTo(config);
                for (TensorSpec spec : config.parameters()) {
                    float[] expected = a.floats(spec.name());
                    assertThat(b.shape(spec.name())).isEqualTo(spec.shape());
                    if (spec.name().endsWith("A_log")) {
                        assertThat(b.floats(spec.name()))
                                .usingComparatorWithPrecision(3e-7f)
                                .containsExactly(expected);
                    } else {
                        assertThat(b.floats(spec.name())).as(spec.name()).isEqualTo(expected);
                    }
                    assertThat(c.floats(spec.name())).as(spec.name()).isEqualTo(b.floats(spec.name()));
                }
            }
            // A is the same float on both ways, so the bits are.
            assertThat(logits(file)).isEqualTo(logits(from));
            assertThat(logits(back)).usingComparatorWithPrecision(1e-4f).containsExactly(logits(from));
            assertThat(Tokenizers.load(file)).isEqualTo(Tokenizers.bytes());
            assertThat(Tokenizers.load(back)).isEqualTo(Tokenizers.bytes());
        }
    }

    @ParameterizedTest
    @EnumSource(WeightFormat.class)
    void matricesBecomeWhatIsWanted(WeightFormat format) {
        Path from = model(CONFIG);
        GgufConverter.toFile(from, file, Optional.of(format));
        try (GgufFile written = GgufFile.open(file)) {
            GgmlType expected = switch (format) {
                case F32 -> GgmlType.F32;
                case F16 -> GgmlType.F16;
                case BF16 -> GgmlType.BF16;
                case Q8 -> GgmlType.Q8_0;
                case Q4 -> GgmlType.Q4_0;
            };
            assertThat(type(written, "token_embd.weight")).isEqualTo(expected);
            assertThat(type(written, "blk.1.ssm_in.weight")).isEqualTo(expected);
            assertThat(type(written, "blk.1.ssm_x.weight"))
                    .isEqualTo(format == WeightFormat.Q4 ? GgmlType.Q8_0 : expected);
            // Four columns are no block.
            assertThat(type(written, "blk.1.ssm_dt.weight")).isEqualTo(format.isQuantised() ? GgmlType.F16 : expected);
            for (String name : List.of(
                    "blk.0.ssm_a",
                    "blk.0.ssm_d",
                    "blk.0.ssm_conv1d.weight",
                    "blk.0.ssm_conv1d.bias",
                    "blk.0.ssm_dt.bias",
                    "blk.0.attn_norm.weight",
                    "output_norm.weight")) {
                assertThat(type(written, name)).as(name).isEqualTo(GgmlType.F32);
            }
            assertThat(written.tensors()).doesNotContainKey("output.weight");
        }
        if (format.isQuantised()) {
            // The blocks of a quantised checkpoint are those of the file, taken as they are.
            Path quantised = folder.resolve("quantised");
            try (Checkpoint checkpoint = Checkpoint.open(from)) {
                Quantiser.write(checkpoint, quantised, format);
            }
            try (Checkpoint a = Checkpoint.openQuantised(quantised);
                    Checkpoint b = Checkpoint.openQuantised(file)) {
                for (String name : List.of("backbone.embeddings.weight", "backbone.layers.1.mixer.in_proj.weight")) {
                    assertThat(b.format(name)).isEqualTo(format);
                    assertThat(GgufModels.bytes(b.data(name))).isEqualTo(GgufModels.bytes(a.data(name)));
                }
            }
            assertThatThrownBy(() -> Checkpoint.open(file))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("is quantised, which only the engine java reads");
            Path other = folder.resolve("other.gguf");
            GgufConverter.toFile(quantised, other, Optional.empty());
            try (Checkpoint a = Checkpoint.openQuantised(file);
                    Checkpoint b = Checkpoint.openQuantised(other)) {
                String name = "backbone.layers.1.mixer.in_proj.weight";
                assertThat(GgufModels.bytes(b.data(name))).isEqualTo(GgufModels.bytes(a.data(name)));
            }
        }
        // The numbers that the file holds, as float32 in a folder, are the same model.
        Path back = folder.resolve("back");
        GgufConverter.toFolder(file, back, Optional.of(WeightFormat.F32));
        assertThat(logits(file)).usingComparatorWithPrecision(1e-3f).containsExactly(logits(back));
    }

    private static GgmlType type(GgufFile file, String tensor) {
        return java.util.Objects.requireNonNull(file.tensors().get(tensor)).type();
    }

    @Test
    void foldersAreWrittenInTheTypeThatIsWanted() {
        Path from = model(CONFIG);
        GgufConverter.toFile(from, file, Optional.of(WeightFormat.Q8));
        Path half = folder.resolve("half");
        GgufConverter.toFolder(file, half, Optional.of(WeightFormat.F16));
        try (Checkpoint checkpoint = Checkpoint.open(half)) {
            assertThat(checkpoint.info("backbone.embeddings.weight").dtype()).isEqualTo(DType.F16);
            assertThat(checkpoint.info("backbone.layers.0.mixer.A_log").dtype()).isEqualTo(DType.F32);
        }
        assertThatThrownBy(() -> GgufConverter.toFolder(file, half, Optional.empty()))
                .hasMessageContaining("exists already");
        assertThatThrownBy(() -> GgufConverter.toFolder(file, folder.resolve("q8"), Optional.of(WeightFormat.Q8)))
                .hasMessageContaining("\"quantize\"");
        assertThatThrownBy(() -> GgufConverter.toFile(file, file, Optional.empty()))
                .hasMessageContaining("cannot be read and written at once");
    }

    @Test
    void anAbsentConvolutionBiasIsWrittenAsZeros() {
        Path from = model(CONFIG.toBuilder().useConvBias(false).build());
        GgufConverter.toFile(from, file, Optional.empty());
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            assertThat(((MambaConfig) checkpoint.config()).useConvBias()).isTrue();
            assertThat(checkpoint.floats("backbone.layers.1.mixer.conv1d.bias")).containsOnly(0);
        }
        assertThat(logits(file)).usingComparatorWithPrecision(1e-5f).containsExactly(logits(from));
    }

    @Test
    void aModelWithoutAnEndIsGivenATokenThatNoTextHas() {
        Path from = model(CONFIG.toBuilder().eosTokenId(MambaConfig.NO_TOKEN).build());
        assertThat(GgufConverter.toFile(from, file, Optional.empty()))
                .singleElement()
                .asString()
                .contains("number 255");
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            assertThat(checkpoint.config().eosTokenId()).isEqualTo(255);
        }
    }

    @Test
    void whatLlamaCppDoesNotRunIsRefused() {
        MemMambaConfig memory = new MemMambaConfig(
                CONFIG,
                MemoryConfig.builder().chunkSize(8).poolSize(5).summarySize(32).build());
        Path from = RandomModels.write(folder.resolve("memory"), memory, DType.F32, 1);
        Tokenizers.bytes().save(from);
        assertRefused(from, "is a MemMamba, for which GGUF has no architecture", "keep the checkpoint folder");
        assertRefused(
                GgufModels.random(
                        folder.resolve("bias"), CONFIG.toBuilder().useBias(true).build(), Tokenizers.bytes(), 1),
                "has biases of its projections");
        assertRefused(
                GgufModels.random(
                        folder.resolve("expand"), CONFIG.toBuilder().expand(3).build(), Tokenizers.bytes(), 1),
                "has \"expand\" 3, but llama.cpp runs 2 only");
        assertRefused(RandomModels.write(folder.resolve("mute"), CONFIG, DType.F32, 1), "has no tokenizer");
        assertRefused(
                GgufModels.random(
                        folder.resolve("few"), CONFIG.toBuilder().vocabSize(200).build(), Tokenizers.bytes(), 1),
                "256 tokens, but the model's embedding only 200 rows");
    }

    private void assertRefused(Path from, String... messages) {
        assertThatThrownBy(() -> GgufConverter.toFile(from, folder.resolve("refused.gguf"), Optional.empty()))
                .isInstanceOf(UserError.class)
                .hasMessageContainingAll(messages);
        assertThat(folder.resolve("refused.gguf")).doesNotExist();
    }

    @Test
    void otherModelsAndMissingPartsAreNamed() {
        Path from = model(CONFIG);
        GgufConverter.toFile(from, file, Optional.empty());
        assertChanged(keys -> keys.put("general.architecture", GgufValue.of("llama")), "architecture \"llama\"");
        assertChanged(keys -> keys.put("mamba.ssm.dt_b_c_rms", GgufValue.of(true)), "FalconMamba");
        assertChanged(keys -> keys.remove("mamba.ssm.state_size"), "has no key \"mamba.ssm.state_size\"");
        assertChanged(keys -> keys.put("mamba.ssm.inner_size", GgufValue.of(100)), "must be a multiple of");
        assertChanged(
                keys -> keys.put("mamba.ssm.conv_kernel", GgufValue.of(3)), "(128, 1, 4), but must have (128, 1, 3)");
        assertChanged(keys -> keys.put("mamba.block_count", GgufValue.of(3)), "which the header implies, is missing");
        assertChanged(keys -> keys.put("mamba.block_count", GgufValue.of(1)), "is not part of the model");
        assertChanged(keys -> keys.put("mamba.block_count", GgufValue.of(4000)), "says 4000 layers");
        assertChanged(keys -> keys.put("mamba.ssm.state_size", GgufValue.of(1 << 20)), "state_size");
    }

    private void assertChanged(Consumer<SequencedMap<String, GgufValue>> change, String message) {
        Path changed = folder.resolve("changed.gguf");
        rewrite(changed, change, tensors -> {});
        assertThatThrownBy(() -> LanguageModel.open(changed))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("changed.gguf")
                .hasMessageContaining(message);
    }

    private void rewrite(
            Path to, Consumer<SequencedMap<String, GgufValue>> keys, Consumer<List<GgufWriter.Tensor>> tensors) {
        try (GgufFile good = GgufFile.open(file)) {
            SequencedMap<String, GgufValue> changed = new LinkedHashMap<>(good.metadata());
            keys.accept(changed);
            List<GgufWriter.Tensor> all = new ArrayList<>();
            good.tensors()
                    .values()
                    .forEach(tensor -> all.add(new GgufWriter.Tensor(
                            tensor.name(), tensor.type(), tensor.shape(), () -> good.data(tensor))));
            tensors.accept(all);
            GgufWriter.write(to, changed, all);
        }
    }

    @Test
    void tensorsThatCannotBeUsedAreNamed() {
        Path from = model(CONFIG);
        GgufConverter.toFile(from, file, Optional.empty());
        Path changed = folder.resolve("changed.gguf");
        rewrite(changed, keys -> {}, tensors -> replace(tensors, "blk.0.ssm_a", GgmlType.F32, Shape.of(128, 16)));
        assertThatThrownBy(() -> LanguageModel.open(changed))
                .hasMessageContaining("\"blk.0.ssm_a\" holds 0.0, but all of A must be negative");
        rewrite(changed, keys -> {}, tensors -> replace(tensors, "blk.0.ssm_a", GgmlType.Q8_0, Shape.of(64, 32)));
        assertThatThrownBy(() -> LanguageModel.open(changed)).hasMessageContaining("too coarse");
        rewrite(
                changed,
                keys -> {},
                tensors -> replace(tensors, "blk.1.ssm_in.weight", GgmlType.Q5_0, Shape.of(256, 64)));
        assertThatThrownBy(() -> LanguageModel.open(changed))
                .hasMessageContaining("\"blk.1.ssm_in.weight\" is Q5_0, but models run with F32, F16, Q4_0, Q8_0");
        rewrite(
                changed,
                keys -> {},
                tensors -> replace(tensors, "blk.1.ssm_in.weight", GgmlType.Q8_0, Shape.of(256, 32)));
        assertThatThrownBy(() -> LanguageModel.open(changed)).hasMessageContaining("\"blk.1.ssm_in.weight\" has shape");
    }

    private static void replace(List<GgufWriter.Tensor> tensors, String name, GgmlType type, Shape shape) {
        tensors.replaceAll(tensor -> tensor.name().equals(name)
                ? new GgufWriter.Tensor(
                        name, type, shape, () -> MemorySegment.ofArray(new byte[(int) type.bytes(shape.elements())]))
                : tensor);
    }

    @Test
    void aWeightBeyondHalfFloatsIsNamed() {
        Path from = folder.resolve("great");
        RandomModels.write(from, CONFIG, DType.F32, 1);
        try (Checkpoint checkpoint = Checkpoint.open(from)) {
            List<org.mamba4j.checkpoint.SafetensorsWriter.Tensor> tensors = new ArrayList<>();
            for (TensorSpec spec : CONFIG.parameters()) {
                float[] values = checkpoint.floats(spec.name());
                if (spec.name().endsWith("1.mixer.out_proj.weight")) {
                    values[5] = 1e6f;
                }
                tensors.add(
                        org.mamba4j.checkpoint.SafetensorsWriter.Tensor.ofFloats(spec.name(), spec.shape(), values));
            }
            Checkpoint.write(folder.resolve("greater"), CONFIG, tensors);
        }
        Tokenizers.bytes().save(folder.resolve("greater"));
        assertThatThrownBy(() -> GgufConverter.toFile(
                        folder.resolve("greater"), folder.resolve("x.gguf"), Optional.of(WeightFormat.F16)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("holds 1000000.0, more than F16 can hold");
        assertThat(folder.resolve("x.gguf")).doesNotExist();
    }

    /** What transformers wrote, through GGUF and back, has the logits that transformers computed. */
    @Test
    void goldenLogitsSurvive() throws IOException {
        Path golden = SharedData.require("golden/hf-mamba-tiny");
        Path from = Files.createDirectory(folder.resolve("golden"));
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.copy(golden.resolve(name), from.resolve(name));
        }
        Tokenizers.bytes().save(from);
        file = folder.resolve("golden.gguf");
        GgufConverter.toFile(from, file, Optional.of(WeightFormat.F32));
        try (org.mamba4j.checkpoint.SafetensorsFile expected =
                        org.mamba4j.checkpoint.SafetensorsFile.open(golden.resolve("expected.safetensors"));
                LanguageModel model = LanguageModel.open(file);
                State state = model.newState()) {
            long[] ids = expected.longs("input_ids");
            int length = (int) expected.info("input_ids").shape().size(1);
            int[] tokens = new int[length];
            java.util.Arrays.setAll(tokens, i -> (int) ids[i]);
            float[] all = expected.floats("logits");
            model.score(
                    state,
                    tokens,
                    0,
                    (position, logits) -> assertThat(logits)
                            .usingComparatorWithPrecision(1e-4f)
                            .containsExactly(java.util.Arrays.copyOfRange(
                                    all, position * logits.length, (position + 1) * logits.length)));
        }
    }
}
