package org.mamba4j.model;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonText;

class MambaConfigTest {
    /** What transformers 5 writes for every field set to something that is not its default. */
    private static final String EVERYTHING = """
            {"architectures": ["MambaForCausalLM"], "bos_token_id": 1, "conv_kernel": 3, "dtype": "float32",
            "eos_token_id": 2, "expand": 3, "hidden_act": "silu", "hidden_size": 40, "initializer_range": 0.2,
            "intermediate_size": 120, "layer_norm_epsilon": 1e-06, "model_type": "mamba", "num_hidden_layers": 5,
            "pad_token_id": null, "rescale_prenorm_residual": true, "residual_in_fp32": false, "state_size": 8,
            "tie_word_embeddings": false, "time_step_floor": 0.0002, "time_step_init_scheme": "constant",
            "time_step_max": 0.3, "time_step_min": 0.002, "time_step_rank": 7, "time_step_scale": 2.0,
            "transformers_version": "5.17.0", "use_associative_scan": true, "use_bias": true, "use_cache": true,
            "use_conv_bias": false, "use_mambapy": false, "vocab_size": 99}""";

    private static MambaConfig read(String json) {
        return (MambaConfig) ModelConfig.fromJson(Json.parse(json.getBytes(UTF_8), "config.json"), "config.json");
    }

    /** The least config.json with one more field. */
    private static MambaConfig huggingFace(String field) {
        return read("{\"model_type\":\"mamba\",\"hidden_size\":40,\"num_hidden_layers\":2,\"vocab_size\":100" + field
                + "}");
    }

    private static MambaConfig stateSpaces(String field) {
        return read("{\"d_model\":40,\"n_layer\":2,\"vocab_size\":100" + field + "}");
    }

    @Test
    void everyFieldOfHuggingFaceIsRead() {
        assertThat(read(EVERYTHING))
                .isEqualTo(MambaConfig.builder()
                        .vocabSize(99)
                        .dModel(40)
                        .nLayer(5)
                        .dState(8)
                        .dConv(3)
                        .expand(3)
                        .dtRank(7)
                        .useBias(true)
                        .useConvBias(false)
                        .tieEmbeddings(false)
                        .normEpsilon(1e-6)
                        .residualInFp32(false)
                        .dtMin(0.002)
                        .dtMax(0.3)
                        .dtInitFloor(0.0002)
                        .dtScale(2)
                        .dtInit("constant")
                        .initializerRange(0.2)
                        .rescalePrenormResidual(true)
                        .bosTokenId(1)
                        .eosTokenId(2)
                        .padTokenId(MambaConfig.NO_TOKEN)
                        .build());
    }

    @Test
    void everyFieldOfStateSpacesIsRead() {
        MambaConfig config = read("""
                {"d_model": 40, "n_layer": 5, "vocab_size": 97, "pad_vocab_size_multiple": 16, "tie_embeddings": false,
                "ssm_cfg": {"d_state": 8, "d_conv": 3, "expand": 3, "dt_rank": 7, "dt_min": 0.002, "dt_max": 0.3,
                "dt_init": "constant", "dt_scale": 2, "dt_init_floor": 0.0002, "conv_bias": false, "bias": true,
                "layer": "Mamba1", "use_fast_path": true}, "rms_norm": true, "residual_in_fp32": false,
                "fused_add_norm": true, "attn_layer_idx": [], "attn_cfg": {}, "d_intermediate": 0}""");
        MambaConfig expected = read(EVERYTHING).toBuilder()
                .vocabSize(112)
                .normEpsilon(1e-5)
                .initializerRange(0.1)
                .rescalePrenormResidual(false)
                .bosTokenId(0)
                .eosTokenId(0)
                .padTokenId(0)
                .build();
        assertThat(config).isEqualTo(expected);
        assertThat(stateSpaces("").vocabSize()).isEqualTo(104);
        assertThat(stateSpaces(",\"pad_vocab_size_multiple\":1").vocabSize()).isEqualTo(100);
        assertThat(stateSpaces(",\"ssm_cfg\":{\"dt_rank\":\"auto\"}").dtRank()).isEqualTo(3);
    }

    @Test
    void absentKeysHaveHuggingFacesDefaults() {
        MambaConfig config = huggingFace("");
        assertThat(config)
                .isEqualTo(MambaConfig.builder()
                        .vocabSize(100)
                        .dModel(40)
                        .nLayer(2)
                        .build());
        assertThat(config.dInner()).isEqualTo(80);
        assertThat(config.dtRank()).isEqualTo(3);
        assertThat(config.tieEmbeddings()).isTrue();
        assertThat(config.useBias()).isFalse();
        assertThat(config.useConvBias()).isTrue();
        assertThat(huggingFace(",\"time_step_rank\":\"auto\"")).isEqualTo(config);
        assertThat(config.toBuilder().dModel(160).build().dtRank()).isEqualTo(10);
        assertThat(config.toBuilder().dtRank(5).build().toBuilder()
                        .dModel(160)
                        .build()
                        .dtRank())
                .isEqualTo(5);
    }

    @Test
    void whatIsWrittenReadsBackEqual() {
        for (MambaConfig config : List.of(read(EVERYTHING), huggingFace(""), stateSpaces(""))) {
            assertThat(read(JsonText.pretty(config.toJson()))).isEqualTo(config);
        }
    }

    @Test
    void everyKeyOfHuggingFaceIsWritten() {
        assertThat(read(EVERYTHING).toJson().fields().keySet())
                .containsExactlyInAnyOrderElementsOf(
                        ((org.mamba4j.json.JsonObject) Json.parse(EVERYTHING.getBytes(UTF_8), "t"))
                                .fields().keySet().stream()
                                        .filter(key -> !List.of(
                                                        "dtype",
                                                        "transformers_version",
                                                        "use_associative_scan",
                                                        "use_cache",
                                                        "use_mambapy")
                                                .contains(key))
                                        .toList());
    }

    @Test
    void filesWithBothSpellingsReadWhenTheyAgree() {
        String both = ",\"d_model\":40,\"d_inner\":80,\"n_layer\":2,\"ssm_cfg\":{},\"rms_norm\":true,"
                + "\"fused_add_norm\":true,\"pad_vocab_size_multiple\":8,\"intermediate_size\":80";
        assertThat(huggingFace(both)).isEqualTo(huggingFace(""));
        assertThat(huggingFace(",\"ssm_cfg\":{\"d_state\":16,\"dt_rank\":\"auto\"}"))
                .isEqualTo(huggingFace(""));
        assertThatThrownBy(() -> huggingFace(",\"d_model\":41"))
                .isInstanceOf(UserError.class)
                .hasMessage("config.json: \"d_model\" is 41, but \"hidden_size\" is 40");
        assertThatThrownBy(() -> huggingFace(",\"ssm_cfg\":{\"d_state\":8}"))
                .hasMessage("config.json: \"ssm_cfg.d_state\" is 8, but \"state_size\" is 16");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"hidden_act\":\"gelu\"|\"hidden_act\" is \"gelu\", but only \"silu\" is supported",
                "\"rms_norm\":false|\"rms_norm\" is false, but only true is supported",
                "\"ssm_cfg\":{\"layer\":\"Mamba2\"}|\"ssm_cfg.layer\" is \"Mamba2\", but only \"Mamba1\" is supported",
                "\"ssm_cfg\":{\"headdim\":64}|the key \"ssm_cfg.headdim\" is unknown and may change",
                "\"ssm_cfg\":5|\"ssm_cfg\" is 5, but must be an object",
                "\"attn_layer_idx\":[3]|\"attn_layer_idx\" is [3], but only [] is supported",
                "\"d_intermediate\":64|\"d_intermediate\" is 64, but only 0 is supported",
                "\"intermediate_size\":81|\"intermediate_size\" is 81, but expand times the model's width is 80",
                "\"quantization_config\":{}|the key \"quantization_config\" is unknown and may change",
                "\"architectures\":[\"MambaForSequenceClassification\"]|\"architectures\" is",
                "\"state_size\":0|\"state_size\" is 0, but must be an integer from 1 to 256",
                "\"state_size\":257|\"state_size\" is 257, but must be",
                "\"state_size\":16.0|\"state_size\" is 16.0, but must be an integer",
                "\"state_size\":\"16\"|\"state_size\" is \"16\", but must be an integer",
                "\"conv_kernel\":0|\"conv_kernel\" is 0, but must be",
                "\"expand\":1.5|\"expand\" is 1.5, but must be an integer from 1 to 64",
                "\"time_step_rank\":\"many\"|\"time_step_rank\" is \"many\", but must be \"auto\" or an integer",
                "\"time_step_rank\":0|\"time_step_rank\" is 0, but must be \"auto\" or an integer",
                "\"time_step_rank\":-3|\"time_step_rank\" is -3, but must be",
                "\"use_bias\":\"yes\"|\"use_bias\" is \"yes\", but must be true or false",
                "\"layer_norm_epsilon\":-1|\"layer_norm_epsilon\" is -1, but must be a number from 0.0 to 1.0",
                "\"layer_norm_epsilon\":1e400|\"layer_norm_epsilon\" is 1e400, but must be a finite number",
                "\"time_step_init_scheme\":\"uniform\"|\"time_step_init_scheme\" is \"uniform\", but must be one of random, constant",
                "\"time_step_min\":0.2|\"time_step_min\" is 0.2, but must be at most \"time_step_max\", 0.1",
                "\"eos_token_id\":[0]|\"eos_token_id\" is [0], but must be an integer",
                "\"pad_vocab_size_multiple\":0|\"pad_vocab_size_multiple\" is 0, but must be an integer from 1"
            })
    void whatIsNotComputedIsRefusedByName(String field, String message) {
        assertThatThrownBy(() -> huggingFace("," + field))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("config.json: ")
                .hasMessageContaining(message)
                .message()
                .doesNotContain("\n");
    }

    @Test
    void sizesThatMustBeThereAreNamed() {
        assertThatThrownBy(() -> read("{\"model_type\":\"mamba\",\"num_hidden_layers\":2,\"vocab_size\":100}"))
                .hasMessage("config.json: the key \"hidden_size\" is missing");
        assertThatThrownBy(() -> read("{\"d_model\":8,\"n_layer\":2}"))
                .hasMessage("config.json: the key \"vocab_size\" is missing");
        assertThatThrownBy(() -> read("{}"))
                .hasMessageStartingWith(
                        "config.json: the key \"model_type\" is missing: it must be one of mamba, memmamba");
        assertThatThrownBy(() -> read("{\"model_type\":\"bert\"}"))
                .hasMessageStartingWith("config.json: \"model_type\" is \"bert\", but must be one of mamba, memmamba");
        assertThatThrownBy(() -> MambaConfig.builder().dModel(8).nLayer(1).build())
                .hasMessage("the key \"vocab_size\" is missing");
        assertThatThrownBy(() ->
                        MambaConfig.builder().vocabSize(8).dModel(-8).nLayer(1).build())
                .isInstanceOf(UserError.class)
                .hasMessage("\"hidden_size\" is -8, but must be an integer from 1 to 65536");
    }

    @Test
    void theBuilderHasEveryComponent() throws ReflectiveOperationException {
        for (ConfigSchema.Field field : MambaConfig.SCHEMA.fields()) {
            Method setter = MambaConfig.Builder.class.getMethod(field.component(), field.type());
            assertThat(setter.getReturnType()).isEqualTo(MambaConfig.Builder.class);
            assertThat(field.definition().help()).isNotBlank();
        }
    }

    @Test
    void theGreatestConfigurationOverflowsNothing() {
        MambaConfig greatest = MambaConfig.builder()
                .vocabSize(1 << 24)
                .dModel(1 << 16)
                .nLayer(1 << 12)
                .dState(256)
                .dConv(64)
                .expand(64)
                .dtRank(1 << 16)
                .useBias(true)
                .tieEmbeddings(false)
                .build();
        assertThat(greatest.dInner()).isEqualTo(1 << 22);
        assertThat(greatest.parameterCount()).isGreaterThan(1L << 51).isLessThan(1L << 62);
        assertThat(greatest.stateBytes()).isPositive();
    }

    @Test
    void theGoldenModelHasTheShapesThatTransformersGaveIt() {
        MambaConfig config = (MambaConfig) ModelConfig.read(SharedData.require("golden/hf-mamba-tiny"));
        assertThat(config.parameters()).hasSize(32);
        assertThat(config.parameters().get(0).toString()).contains("backbone.embeddings.weight", "(256, 64)");
        assertThat(config.parameters())
                .contains(
                        TensorSpec.of("backbone.layers.2.mixer.in_proj.weight", 256, 64),
                        TensorSpec.of("backbone.layers.2.mixer.conv1d.weight", 128, 1, 4),
                        TensorSpec.of("backbone.layers.0.mixer.x_proj.weight", 36, 128),
                        TensorSpec.of("backbone.layers.0.mixer.dt_proj.weight", 128, 4));
        assertThat(config.parameterCount()).isEqualTo((461440 - 8 - 3192) / 4);
        assertThat(config.stateBytes()).isEqualTo(4 * (3 * (128 * 3 + 128 * 16) + 64));
    }

    @Test
    void filesThatAreNotThereOrTooGreatAreNamed(@TempDir Path folder) throws IOException {
        assertThatThrownBy(() -> ModelConfig.read(folder))
                .isInstanceOf(UserError.class)
                .hasMessage(folder.resolve("config.json") + " does not exist");
        Files.writeString(folder.resolve("config.json"), " ".repeat((1 << 20) + 1));
        assertThatThrownBy(() -> ModelConfig.read(folder)).hasMessageContaining("more than the 1048576");
        Files.writeString(folder.resolve("config.json"), EVERYTHING);
        assertThat(ModelConfig.read(folder)).isEqualTo(read(EVERYTHING));
        assertThat(ModelConfig.read(folder.resolve("config.json"))).isEqualTo(read(EVERYTHING));
    }
}
