package org.mamba4j.model;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonText;

/** config.json of the families that Mamba is compared with. */
class FamilyConfigsTest {
    private static final String LLAMA = "{\"model_type\":\"llama\",\"vocab_size\":100,\"hidden_size\":64,"
            + "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":80";
    private static final String NEOX = LLAMA.replace("llama", "gpt_neox");
    private static final String MAMBA2 =
            "{\"model_type\":\"mamba2\",\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":2";
    private static final String RNN =
            "{\"model_type\":\"rnn\",\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":2";
    private static final String COMPOSED =
            "{\"model_type\":\"composed\",\"vocab_size\":100,\"hidden_size\":64,\"num_hidden_layers\":2";
    private static final String STATE_SPACES =
            "{\"d_model\":64,\"n_layer\":2,\"vocab_size\":97,\"ssm_cfg\":{\"layer\":\"Mamba2\"";

    private static ModelConfig read(String json) {
        return ModelConfig.fromJson(Json.parse(json.getBytes(UTF_8), "config.json"), "config.json");
    }

    @Test
    void rotaryPositionsAreReadInOldAndNewSpellings() {
        LlamaConfig llama = (LlamaConfig) read(LLAMA + ",\"rope_theta\":500000.0,\"rope_scaling\":{\"factor\":8.0,"
                + "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\"original_max_position_embeddings\":4096,"
                + "\"rope_type\":\"llama3\"}}");
        assertThat(llama.rope()).isEqualTo(new Rope(500000, "llama3", 8, 1, 4, 4096, 16));
        assertThat(((LlamaConfig) read(LLAMA + ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}")).rope())
                .isEqualTo(new Rope(10000, "linear", 2, 1, 4, 8192, 16));
        assertThat(((LlamaConfig) read(LLAMA + ",\"rope_scaling\":null,\"rope_theta\":10000,"
                                + "\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":10000.0}}"))
                        .rope())
                .isEqualTo(((LlamaConfig) read(LLAMA + "}")).rope());
        GptNeoxConfig pythia = (GptNeoxConfig) read(NEOX + ",\"rotary_pct\":0.5,\"rotary_emb_base\":20000}");
        assertThat(pythia.rope()).isEqualTo(new Rope(20000, "default", 1, 1, 4, 8192, 8));
        assertThat(((GptNeoxConfig) read(NEOX + "}")).rope().size()).isEqualTo(4);
    }

    @Test
    void defaultsAreThoseOfTransformers() {
        LlamaConfig llama = (LlamaConfig) read(LLAMA + ",\"head_dim\":null,\"num_key_value_heads\":null}");
        assertThat(llama.headSize()).isEqualTo(16);
        assertThat(llama.nKvHeads()).isEqualTo(4);
        assertThat(llama.tieEmbeddings()).isFalse();
        assertThat(llama.normEpsilon()).isEqualTo(1e-6);
        GptNeoxConfig neox = (GptNeoxConfig) read(NEOX + "}");
        assertThat(neox.parallelResidual()).isTrue();
        assertThat(neox.attentionBias()).isTrue();
        assertThat(neox.activation()).isEqualTo("gelu");
    }

    @Test
    void whatIsAutomaticFollowsTheParts() {
        ComposedConfig mamba = (ComposedConfig) read(COMPOSED + "}");
        assertThat(mamba.expand()).isEqualTo(2);
        assertThat(mamba.dConv()).isEqualTo(4);
        assertThat(mamba.dState()).isEqualTo(16);
        assertThat(mamba.dtRank()).isEqualTo(4);
        assertThat(mamba.aInit()).isEqualTo("real");
        assertThat(mamba.layer(0).isComplex()).isFalse();
        ComposedConfig s4d =
                mamba.toBuilder().block("plain").innerLayer("s4d").mlp("gated").build();
        assertThat(s4d.expand()).isEqualTo(1);
        assertThat(s4d.dConv()).isZero();
        assertThat(s4d.dState()).isEqualTo(64);
        assertThat(s4d.layer(1).modes()).isEqualTo(32);
        assertThat(s4d.discretisation()).isEqualTo("zoh");
        assertThat(s4d.dMlp()).isEqualTo(256);
        assertThat(mamba.toBuilder().aInit("lin").build().layer(0).isComplex()).isTrue();
        LayerParts some = mamba.toBuilder().selective("delta-c").build().layer(0);
        assertThat(some.isDeltaSelective()).isTrue();
        assertThat(some.isBSelective()).isFalse();
        assertThat(some.isCSelective()).isTrue();
    }

    private static ComposedConfig hybrid(String rest) {
        return (ComposedConfig) read(COMPOSED.replace("layers\":2", "layers\":3") + rest + "}");
    }

    @Test
    void layersOfAHybridTakeWhatFitsThem() {
        ComposedConfig automatic = hybrid(",\"inner_layer\":[\"s4d\",\"s6\",\"s4\"]");
        assertThat(automatic.isHybrid()).isTrue();
        assertThat(automatic.layer(0)).isEqualTo(new LayerParts(automatic, "s4d", "lin", "zoh", 64, 4));
        assertThat(automatic.layer(1)).isEqualTo(new LayerParts(automatic, "s6", "real", "exponential-euler", 16, 4));
        assertThat(automatic.layer(2)).isEqualTo(new LayerParts(automatic, "s4", "legs", "bilinear", 64, 4));
        assertThat(shapes(automatic))
                .contains(
                        "backbone.layers.0.mixer.ssm.A_imag 128 32",
                        "backbone.layers.0.mixer.ssm.C 128 64",
                        "backbone.layers.1.mixer.A_log 128 16",
                        "backbone.layers.1.mixer.x_proj.weight 36 128",
                        "backbone.layers.2.mixer.ssm.P 128 64")
                .doesNotContain("backbone.layers.1.mixer.A_imag 128 16");
        assertThat(automatic.stateTensors().stream().map(FamilyConfigsTest::shape))
                .containsExactly(
                        "layers.0.conv 128 3",
                        "layers.0.ssm 128 64",
                        "layers.1.conv 128 3",
                        "layers.1.ssm 128 16",
                        "layers.2.conv 128 3",
                        "layers.2.ssm 128 64",
                        "last_hidden 64");
        ComposedConfig complex = hybrid(",\"inner_layer\":[\"s6\",\"s4\",\"s4d\"],\"a_init\":\"inv\",\"state_size\":8");
        assertThat(complex.layer(0)).isEqualTo(new LayerParts(complex, "s6", "inv", "exponential-euler", 8, 4));
        assertThat(complex.layer(1).aInit()).isEqualTo("legs");
        assertThat(shapes(complex)).contains("backbone.layers.0.mixer.A_imag 128 4");
        ComposedConfig longest = hybrid(",\"block\":\"h3\",\"inner_layer\":[\"hyena\",\"s6\",\"hyena\"]");
        assertThat(longest.stateTensors(7).stream().map(FamilyConfigsTest::shape))
                .containsExactly(
                        "layers.0.conv 192 2",
                        "layers.0.inputs 1 7 64",
                        "layers.1.conv 64 63",
                        "layers.1.ssm 64 16",
                        "layers.2.conv 192 2",
                        "layers.2.inputs 1 7 64",
                        "last_hidden 64");
        assertThat(longest.layer(0).isDeltaSelective()).isFalse();
    }

    private static String shape(TensorSpec spec) {
        return spec.name() + " "
                + spec.shape().toString().replaceAll("[^0-9]+", " ").strip();
    }

    private static List<String> shapes(ModelConfig config) {
        return config.parameters().stream().map(FamilyConfigsTest::shape).toList();
    }

    @Test
    void aHybridOfOneKindIsNone() {
        ComposedConfig listed = hybrid(",\"inner_layer\":[\"s4d\",\"s4d\",\"s4d\"]");
        assertThat(listed).isEqualTo(hybrid(",\"inner_layer\":\"s4d\""));
        assertThat(JsonText.compact(listed.toJson())).contains("\"inner_layer\":\"s4d\",\"a_init\":\"lin\"");
        ComposedConfig hybrid = hybrid(",\"inner_layer\":[\"s4d\",\"s6\",\"s4d\"]");
        assertThat(JsonText.compact(hybrid.toJson()))
                .contains("\"inner_layer\":[\"s4d\",\"s6\",\"s4d\"],\"a_init\":\"auto\"", "\"state_size\":0");
        assertThat(hybrid.toBuilder().build()).isEqualTo(hybrid);
        assertThat(hybrid.withVocabSize(9).layer(1).innerLayer()).isEqualTo("s6");
        assertThat(hybrid.toBuilder().innerLayer("s6").build()).isEqualTo(hybrid(""));
        assertThatThrownBy(() -> hybrid.toBuilder().nLayer(4).build())
                .isInstanceOf(UserError.class)
                .hasMessageContaining("\"inner_layer\" lists 3 layers, but must list \"num_hidden_layers\", 4");
        assertThatThrownBy(() -> hybrid.layer(3)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void stateSpacesMamba2IsRead() {
        Mamba2Config config = (Mamba2Config) read(STATE_SPACES
                + ",\"d_state\":32,\"headdim\":16,\"dt_limit\":[0.0,0.5]},\"rms_norm\":true,\"d_intermediate\":0,"
                + "\"attn_layer_idx\":[],\"attn_cfg\":{},\"residual_in_fp32\":true,\"fused_add_norm\":true,"
                + "\"pad_vocab_size_multiple\":16,\"tie_embeddings\":true}");
        assertThat(config.vocabSize()).isEqualTo(112);
        assertThat(config.nHeads()).isEqualTo(8);
        assertThat(config.nGroups()).isEqualTo(1);
        assertThat(config.dState()).isEqualTo(32);
        assertThat(config.dtHigh()).isEqualTo(0.5);
        assertThat(config.tieEmbeddings()).isTrue();
        assertThat(config.eosTokenId()).isEqualTo(MambaConfig.NO_TOKEN);
        assertThat(((Mamba2Config) read(STATE_SPACES + "}}")).dState()).isEqualTo(128);
    }

    @Test
    void whatIsWrittenIsReadAgain() {
        List<ModelConfig> all = List.of(
                read(LLAMA + "}"),
                read(LLAMA + ",\"attention_bias\":true,\"mlp_bias\":true,\"tie_word_embeddings\":true,\"head_dim\":8,"
                        + "\"num_key_value_heads\":2,\"hidden_act\":\"relu\",\"rms_norm_eps\":0.001,\"eos_token_id\":null,"
                        + "\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":3,\"rope_theta\":77,"
                        + "\"low_freq_factor\":2,\"high_freq_factor\":5,\"original_max_position_embeddings\":99}}"),
                read(NEOX + ",\"use_parallel_residual\":false,\"attention_bias\":false,\"layer_norm_eps\":0.1,"
                        + "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":3,\"partial_rotary_factor\":0.5}}"),
                read(LLAMA.replace("size\":80", "size\":0")
                        + ",\"position_embedding\":\"xpos\",\"xpos_scale_base\":32}"),
                read(LLAMA + ",\"position_embedding\":\"learned\",\"max_position_embeddings\":77}"),
                read(MAMBA2.replace("mamba2", "decimamba") + ",\"decimation_first_layer\":1}"),
                read(RNN + "}"),
                read(RNN + ",\"cell\":\"gru\",\"residual\":true,\"rms_norm_eps\":0.1,\"tie_word_embeddings\":true,"
                        + "\"initializer_range\":0.5,\"eos_token_id\":3,\"pad_token_id\":null}"),
                read(MAMBA2 + "}"),
                read(MAMBA2 + ",\"n_groups\":2,\"num_heads\":8,\"head_dim\":16,\"time_step_limit\":[0.01,0.2]}"),
                read(COMPOSED + "}"),
                read(COMPOSED + ",\"a_init\":\"inv\",\"selective\":\"b-c\",\"state_size\":8,\"expand\":1,"
                        + "\"conv_kernel\":2,\"mlp\":\"gated\",\"time_step_rank\":1}"),
                read(COMPOSED + ",\"block\":\"plain\",\"inner_layer\":\"s4d\",\"discretisation\":\"bilinear\","
                        + "\"tie_word_embeddings\":false}"),
                read(COMPOSED + ",\"block\":\"h3\",\"inner_layer\":\"s4d\",\"mlp\":\"gated\"}"),
                read(COMPOSED + ",\"block\":\"h3\",\"inner_layer\":[\"s6\",\"hyena\"],\"selective\":\"b\"}"),
                read(COMPOSED + ",\"inner_layer\":[\"s6\",\"s4d\"],\"a_init\":\"real\",\"state_size\":5}"),
                read(COMPOSED + ",\"block\":\"h3\",\"inner_layer\":\"hyena\",\"kernel_length\":256}"));
        for (ModelConfig config : all) {
            assertThat(read(JsonText.compact(config.toJson()))).isEqualTo(config);
            assertThat(config.parameters()).contains(config.embedding(), config.head());
        }
    }

    @Test
    void noLimitIsWrittenAsTransformersWritesIt() {
        for (String none : List.of("{\"__float__\":\"Infinity\"}", "null")) {
            Mamba2Config config = (Mamba2Config) read(MAMBA2 + ",\"time_step_limit\":[0.0," + none + "]}");
            assertThat(config).isEqualTo(read(MAMBA2 + "}"));
            assertThat(JsonText.compact(config.toJson())).contains("[0.0,{\"__float__\":\"Infinity\"}]");
        }
    }

    @Test
    void noLimitAsTransformers4WritesItIsReadFromAFile(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("config.json");
        Files.writeString(file, MAMBA2 + ",\n  \"time_step_limit\": [\n    0.0,\n    Infinity\n  ]\n}");
        assertThat(ModelConfig.read(folder)).isEqualTo(read(MAMBA2 + "}"));
        Files.writeString(file, MAMBA2 + ",\"time_step_max\": Infinity}");
        assertThatThrownBy(() -> ModelConfig.read(folder)).isInstanceOf(UserError.class);
    }

    @Test
    void whatTransformers44WroteOfMamba2ButNeverReadIsPassedOver() {
        String unread = ",\"norm_before_gate\":true,\"time_step_init_scheme\":\"random\",\"time_step_scale\":1.0,"
                + "\"time_step_rank\":256,\"rms_norm\":true";
        assertThat(read(MAMBA2 + unread + "}")).isEqualTo(read(MAMBA2 + "}"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            LLAMA | "num_key_value_heads":3 | must be a multiple of "num_key_value_heads", 3
            LLAMA | "head_dim":7 | must be even
            LLAMA | "num_attention_heads":5 | key
            LLAMA | "hidden_act":"quick_gelu" | must be one of silu, gelu
            LLAMA | "rope_scaling":{"rope_type":"yarn","factor":2} | must be one of default, linear, llama3
            LLAMA | "rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4} | rope_type llama3 needs "original_max_position_embeddings"
            NEOX  | "rope_scaling":{"type":"linear"} | rope_type linear needs "factor"
            LLAMA | "rope_scaling":{"rope_type":"linear","attention_factor":2} | "rope_scaling.attention_factor" is 2, but this key is unknown
            LLAMA | "rope_theta":1e5,"rope_parameters":{"rope_theta":1e4} | "rope_parameters.rope_theta" is 1e4, but elsewhere it is 1e5
            LLAMA | "partial_rotary_factor":0.5 | only 1.0 is supported
            LLAMA | "attention_dropout":0.1 | only 0.0 is supported
            LLAMA | "eos_token_id":[2,3] | leave the one at which texts should end
            LLAMA | "sliding_window":4096 | unknown and may change what the model computes
            LLAMA | "architectures":["LlamaForTokenClassification"] | must name LlamaForCausalLM
            LLAMA | "position_embedding":"alibi" | must be one of rope, xpos, sinusoidal, learned, none
            NEOX  | "rotary_pct":0.2 | they turn pairs
            NEOX  | "hidden_dropout":0.1 | only 0.0 is supported
            NEOX  | "use_parallel_residual":1 | must be true or false
            RNN | "cell":"elman" | must be one of lstm, gru
            RNN | "dropout":0.1 | unknown and may change what the model computes
            MAMBA2 | "num_heads":3 | must be "expand" times "hidden_size", 128
            MAMBA2 | "n_groups":3 | must be a multiple of it
            MAMBA2 | "hidden_act":"relu" | only "silu" is supported
            MAMBA2 | "rms_norm":false | only true is supported
            MAMBA2 | "time_step_limit":[0.0] | must be two numbers
            MAMBA2 | "time_step_limit":[0.5,0.1] | begins with 0.5, but ends with 0.1
            MAMBA2 | "intermediate_size":100 | expand times the model's width is 128
            COMPOSED | "block":"gau" | must be one of plain, h3, mamba
            COMPOSED | "block":"plain","conv_kernel":4 | with block plain must be left out
            COMPOSED | "block":"h3","expand":2 | with block h3 must be left out
            COMPOSED | "inner_layer":"hyena","state_size":4 | with inner_layer hyena must be left out
            COMPOSED | "intermediate_size":99 | with mlp none must be left out
            COMPOSED | "discretisation":"zoh" | with inner_layer s6 only exponential-euler can be computed
            COMPOSED | "inner_layer":"s4d","selective":"b" | with inner_layer s4d only all can be computed
            COMPOSED | "inner_layer":"s4","a_init":"real" | with inner_layer s4 only legs can be computed
            COMPOSED | "a_init":"lin","state_size":7 | must be even
            COMPOSED | "inner_layer":["s6","s4d"],"state_size":7 | must be even: s4d with a_init lin
            COMPOSED | "inner_layer":["s4","s6","s4"] | "inner_layer" lists 3 layers, but must list "num_hidden_layers", 2
            COMPOSED | "inner_layer":["s4"] | "inner_layer" is ["s4"], but must list "num_hidden_layers", 2
            COMPOSED | "inner_layer":[] | must be one of s4, s4d, hyena, s6, or a list of them
            COMPOSED | "inner_layer":["s4","s5"] | must be one of s4, s4d, hyena, s6, or a list of them
            COMPOSED | "inner_layer":["s4",6] | must be one of s4, s4d, hyena, s6, or a list of them
            COMPOSED | "inner_layer":["s4","hyena"],"a_init":"real" | with inner_layer s4, hyena only legs, auto can be computed
            COMPOSED | "inner_layer":["s4","s6"],"discretisation":"zoh" | with inner_layer s4, s6 only bilinear, exponential-euler can
            COMPOSED | "inner_layer":["s4","s4d"],"selective":"b" | with inner_layer s4, s4d only all can be computed
            COMPOSED | "block":"plain","inner_layer":["s4","s6"],"conv_kernel":4 | with block plain must be left out
            COMPOSED | "time_step_min":0.2 | must be at most "time_step_max", 0.1
            """)
    void whatIsNotComputedIsRefused(String family, String field, String message) {
        String start = Map.of("LLAMA", LLAMA, "NEOX", NEOX, "RNN", RNN, "COMPOSED", COMPOSED)
                .getOrDefault(family, MAMBA2);
        String json = message.equals("key") ? start.replace("heads\":4", "heads\":5") + "}" : start + "," + field + "}";
        String expected = message.equals("key") ? "must be a multiple of \"num_attention_heads\", 5" : message;
        assertThatThrownBy(() -> read(json))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("config.json: ")
                .hasMessageContaining(expected);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "ngroups":2 | only 1 is supported
            "norm_before_gate":true | only false is supported
            "D_has_hdim":true | only false is supported
            "something":1 | "ssm_cfg.something" is unknown
            """)
    void whatIsNotComputedOfStateSpacesIsRefused(String field, String message) {
        assertThatThrownBy(() -> read(STATE_SPACES + "," + field + "}}"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining(message);
    }

    @Test
    void masksAndFrequenciesInOldFilesAreNoParameters() {
        ModelConfig neox = read(NEOX + "}");
        for (String name : List.of("bias", "masked_bias", "rotary_emb.inv_freq")) {
            assertThat(neox.isBuffer("gpt_neox.layers.1.attention." + name)).isTrue();
        }
        assertThat(neox.isBuffer("gpt_neox.layers.1.attention.dense.bias")).isFalse();
        assertThat(read(LLAMA + "}").isBuffer("model.layers.0.self_attn.rotary_emb.inv_freq"))
                .isTrue();
        assertThat(read(MAMBA2 + "}").isBuffer("backbone.layers.0.mixer.D")).isFalse();
    }

    @Test
    void whatAttentionKeepsGrowsWithTheText() {
        ModelConfig llama = read(LLAMA + ",\"num_key_value_heads\":2}");
        assertThat(llama.stateBytes()).isEqualTo(4 * 64);
        assertThat(llama.stateBytes(10)).isEqualTo(4 * (64 + 2 * 2 * 2 * 16 * 10));
        assertThat(read(MAMBA2 + "}").stateBytes(10))
                .isEqualTo(read(MAMBA2 + "}").stateBytes());
    }
}
