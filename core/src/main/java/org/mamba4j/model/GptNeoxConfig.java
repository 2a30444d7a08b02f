package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonValue;

/**
 * A Transformer of GPT-NeoX's kind, such as Pythia: attention and the layer beside it read the same stream, positions turn
 * a part of each head, LayerNorm with bias.
 *
 * <p>What each component means, its default and its bounds stand in its {@link ConfigField}; how it is computed, in the
 * network. A token id of {@link MambaConfig#NO_TOKEN} says that the model has no such token.
 *
 * <p>The keys are those of Hugging Face's GPTNeoXConfig; the rotary positions' lie in {@code rope_parameters} there, with
 * {@code rope_} in front of what is not a name of its own here. Older files say {@code rotary_pct} and {@code
 * rotary_emb_base}.
 */
public record GptNeoxConfig(
        @ConfigField(
                key = "vocab_size",
                min = 1,
                max = 1 << 24,
                help = "rows of the embedding, padding included; the width of the logits (V)")
        int vocabSize,

        @ConfigField(key = "hidden_size", min = 1, max = 1 << 16, help = "width of the residual stream (d)")
        int dModel,

        @ConfigField(key = "num_hidden_layers", min = 1, max = 1 << 12, help = "number of blocks")
        int nLayer,

        @ConfigField(key = "num_attention_heads", min = 1, max = 1 << 12, help = "heads of each attention (H)")
        int nHeads,

        @ConfigField(
                key = "intermediate_size",
                min = 1,
                max = 1 << 20,
                help = "width of the layer between attentions (F)")
        int dMlp,

        @ConfigField(
                key = "hidden_act",
                otherwise = "gelu",
                oneOf = {"silu", "gelu", "gelu_pytorch_tanh", "gelu_new", "gelu_fast", "relu"},
                help = "of the layer between attentions")
        String activation,

        @ConfigField(
                key = "layer_norm_eps",
                otherwise = "1e-5",
                min = 0,
                max = 1,
                help = "added to the variance inside every LayerNorm")
        double normEpsilon,

        @ConfigField(
                key = "attention_bias",
                otherwise = "true",
                help = "whether both projections of attention have a bias")
        boolean attentionBias,

        @ConfigField(
                key = "use_parallel_residual",
                otherwise = "true",
                help = "whether the layer between attentions reads what the attention reads, instead of what it gives")
        boolean parallelResidual,

        @ConfigField(
                key = "partial_rotary_factor",
                otherwise = "0.25",
                min = 0,
                max = 1,
                help = "share of a head that positions turn")
        double rotaryFraction,

        @ConfigField(
                key = "rope_theta",
                otherwise = "10000",
                min = 1,
                max = 1e15,
                help = "base of the wavelengths of the rotary positions")
        double ropeTheta,

        @ConfigField(
                key = "rope_type",
                otherwise = "default",
                oneOf = {"default", "linear", "llama3"},
                help = "how the wavelengths are stretched for longer texts: not, all alike, or the long ones more")
        String ropeType,

        @ConfigField(
                key = "rope_factor",
                otherwise = "1",
                min = 1,
                max = 1e6,
                help = "by how much the wavelengths are stretched")
        double ropeFactor,

        @ConfigField(
                key = "rope_low_freq_factor",
                otherwise = "1",
                min = 1e-6,
                max = 1e6,
                help =
                        "with rope_type llama3, wavelengths of more than rope_original_max_position_embeddings / this are stretched in full")
        double ropeLowFreqFactor,

        @ConfigField(
                key = "rope_high_freq_factor",
                otherwise = "4",
                min = 1e-6,
                max = 1e6,
                help =
                        "with rope_type llama3, wavelengths of less than rope_original_max_position_embeddings / this stay as they are")
        double ropeHighFreqFactor,

        @ConfigField(
                key = "rope_original_max_position_embeddings",
                otherwise = "8192",
                min = 1,
                max = 1 << 30,
                help = "with rope_type llama3, tokens of a text in training before the wavelengths were stretched")
        int ropeOriginalLength,

        @ConfigField(key = "tie_word_embeddings", otherwise = "false", help = "whether the head is the embedding")
        boolean tieEmbeddings,

        @ConfigField(
                key = "initializer_range",
                otherwise = "0.02",
                min = 0,
                max = 1e3,
                help = "standard deviation of embedding and matrices at initialisation")
        double initializerRange,

        @ConfigField(
                key = "max_position_embeddings",
                otherwise = "2048",
                min = 1,
                max = 1 << 30,
                help =
                        "tokens of the longest text that it was made for; nothing is computed from it, and longer texts are read")
        int maxPositions,

        @ConfigField(
                key = "bos_token_id",
                otherwise = "0",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that begins a text")
        int bosTokenId,

        @ConfigField(
                key = "eos_token_id",
                otherwise = "2",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that ends a text; generation stops at it")
        int eosTokenId,

        @ConfigField(
                key = "pad_token_id",
                otherwise = "-1",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that fills a batch")
        int padTokenId)
        implements ModelConfig {

    /** The fields: keys, defaults, bounds, help. */
    public static final ConfigSchema<GptNeoxConfig> SCHEMA = ConfigSchema.of(GptNeoxConfig.class);

    static final String MODEL_TYPE = "gpt_neox";

    /** @throws UserError if a value is out of its bounds, or two do not fit together */
    public GptNeoxConfig {
        SCHEMA.check(
                vocabSize,
                dModel,
                nLayer,
                nHeads,
                dMlp,
                activation,
                normEpsilon,
                attentionBias,
                parallelResidual,
                rotaryFraction,
                ropeTheta,
                ropeType,
                ropeFactor,
                ropeLowFreqFactor,
                ropeHighFreqFactor,
                ropeOriginalLength,
                tieEmbeddings,
                initializerRange,
                maxPositions,
                bosTokenId,
                eosTokenId,
                padTokenId);
        int turned = (int) (Rope.headSize(dModel, nHeads) * rotaryFraction);
        if (turned % 2 != 0) {
            throw new UserError("\"partial_rotary_factor\" is " + rotaryFraction + ", so that positions would turn "
                    + turned + " numbers of a head, but they turn pairs");
        }
        rope(ropeTheta, ropeType, ropeFactor, ropeLowFreqFactor, ropeHighFreqFactor, ropeOriginalLength, turned);
    }

    private static Rope rope(
            double theta, String type, double factor, double lowFreq, double highFreq, int originalLength, int size) {
        return new Rope(theta, type, factor, lowFreq, highFreq, originalLength, size);
    }

    /** Starts from the defaults; sizes have none. */
    public static Builder builder() {
        return new Builder(SCHEMA.values());
    }

    /** Starts from this configuration. */
    public Builder toBuilder() {
        return new Builder(SCHEMA.values(this));
    }

    /** Width of a head. */
    public int headSize() {
        return Rope.headSize(dModel, nHeads);
    }

    /** How positions turn queries and keys. */
    public Rope rope() {
        int turned = (int) (headSize() * rotaryFraction);
        return rope(ropeTheta, ropeType, ropeFactor, ropeLowFreqFactor, ropeHighFreqFactor, ropeOriginalLength, turned);
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public GptNeoxConfig withVocabSize(int rows) {
        return toBuilder().vocabSize(rows).build();
    }

    @Override
    public TensorSpec embedding() {
        TensorSpec embedding = TensorSpec.of("gpt_neox.embed_in.weight", vocabSize, dModel);
        // A file of a tied model may hold the one matrix under any of these names, or several times.
        return tieEmbeddings ? embedding.orNamed("embed_out.weight").orNamed("lm_head.weight") : embedding;
    }

    @Override
    public TensorSpec head() {
        return tieEmbeddings
                ? embedding()
                : TensorSpec.of("embed_out.weight", vocabSize, dModel).orNamed("lm_head.weight");
    }

    @Override
    public List<TensorSpec> parameters() {
        List<TensorSpec> all = new ArrayList<>();
        all.add(embedding());
        for (int i = 0; i < nLayer; i++) {
            String layer = "gpt_neox.layers." + i + ".";
            addNorm(all, layer + "input_layernorm");
            addNorm(all, layer + "post_attention_layernorm");
            addLinear(all, layer + "attention.query_key_value", 3L * dModel, dModel, attentionBias);
            addLinear(all, layer + "attention.dense", dModel, dModel, attentionBias);
            addLinear(all, layer + "mlp.dense_h_to_4h", dMlp, dModel, true);
            addLinear(all, layer + "mlp.dense_4h_to_h", dModel, dMlp, true);
        }
        addNorm(all, "gpt_neox.final_layer_norm");
        if (!tieEmbeddings) {
            all.add(head());
        }
        return List.copyOf(all);
    }

    private void addNorm(List<TensorSpec> all, String name) {
        all.add(TensorSpec.of(name + ".weight", dModel));
        all.add(TensorSpec.of(name + ".bias", dModel));
    }

    private static void addLinear(List<TensorSpec> all, String name, long out, long in, boolean bias) {
        all.add(TensorSpec.of(name + ".weight", out, in));
        if (bias) {
            all.add(TensorSpec.of(name + ".bias", out));
        }
    }

    @Override
    public List<TensorSpec> stateTensors() {
        return stateTensors(0);
    }

    /** Per layer the keys, turned by their positions, and the values of all tokens; then the last output. */
    @Override
    public List<TensorSpec> stateTensors(long tokens) {
        return Rope.stateTensors(nLayer, Shape.of(nHeads, tokens, headSize()), dModel);
    }

    /** Old files hold the causal mask, what stands in masked places, and the rotary positions' frequencies. */
    @Override
    public boolean isBuffer(String tensor) {
        return tensor.matches(
                "gpt_neox\\.layers\\.[0-9]+\\.attention\\.(bias|masked_bias|rotary_emb\\.(inv_freq|(cos|sin)_cached))");
    }

    @Override
    public JsonObject toJson() {
        return Rope.nest(
                ConfigJson.write(SCHEMA, this, MODEL_TYPE, "GPTNeoXForCausalLM").build(), ropeType);
    }

    static GptNeoxConfig read(JsonValue value, String source) {
        JsonFields json = JsonFields.of(Rope.flatten(value, source), source);
        ConfigJson.only(json, "model_type", new JsonString(MODEL_TYPE));
        ConfigJson.checkArchitectures(json, "GPTNeoXForCausalLM");
        ConfigJson.checkDecoderOnly(json);
        ConfigJson.only(json, "attention_dropout", JsonNumber.of(0.0), JsonNumber.of(0));
        ConfigJson.only(json, "hidden_dropout", JsonNumber.of(0.0), JsonNumber.of(0));
        json.has("classifier_dropout"); // of a head that a language model does not have
        GptNeoxConfig config = ConfigJson.make(ConfigJson.values(SCHEMA, json)::make, source);
        ConfigJson.refuseUnknown(json, "");
        return config;
    }

    /** Collects the components by name; see {@link GptNeoxConfig} for what they mean. */
    public static final class Builder {
        private final ConfigSchema<GptNeoxConfig>.Values values;

        private Builder(ConfigSchema<GptNeoxConfig>.Values values) {
            this.values = values;
        }

        private Builder set(String component, Object value) {
            values.set(component, value);
            return this;
        }

        public Builder vocabSize(int vocabSize) {
            return set("vocabSize", vocabSize);
        }

        public Builder dModel(int dModel) {
            return set("dModel", dModel);
        }

        public Builder nLayer(int nLayer) {
            return set("nLayer", nLayer);
        }

        public Builder nHeads(int nHeads) {
            return set("nHeads", nHeads);
        }

        public Builder dMlp(int dMlp) {
            return set("dMlp", dMlp);
        }

        public Builder activation(String activation) {
            return set("activation", activation);
        }

        public Builder normEpsilon(double normEpsilon) {
            return set("normEpsilon", normEpsilon);
        }

        public Builder attentionBias(boolean attentionBias) {
            return set("attentionBias", attentionBias);
        }

        public Builder parallelResidual(boolean parallelResidual) {
            return set("parallelResidual", parallelResidual);
        }

        public Builder rotaryFraction(double rotaryFraction) {
            return set("rotaryFraction", rotaryFraction);
        }

        public Builder ropeTheta(double ropeTheta) {
            return set("ropeTheta", ropeTheta);
        }

        public Builder ropeType(String ropeType) {
            return set("ropeType", ropeType);
        }

        public Builder ropeFactor(double ropeFactor) {
            return set("ropeFactor", ropeFactor);
        }

        public Builder ropeLowFreqFactor(double ropeLowFreqFactor) {
            return set("ropeLowFreqFactor", ropeLowFreqFactor);
        }

        public Builder ropeHighFreqFactor(double ropeHighFreqFactor) {
            return set("ropeHighFreqFactor", ropeHighFreqFactor);
        }

        public Builder ropeOriginalLength(int ropeOriginalLength) {
            return set("ropeOriginalLength", ropeOriginalLength);
        }

        public Builder tieEmbeddings(boolean tieEmbeddings) {
            return set("tieEmbeddings", tieEmbeddings);
        }

        public Builder initializerRange(double initializerRange) {
            return set("initializerRange", initializerRange);
        }

        public Builder maxPositions(int maxPositions) {
            return set("maxPositions", maxPositions);
        }

        public Builder bosTokenId(int bosTokenId) {
            return set("bosTokenId", bosTokenId);
        }

        public Builder eosTokenId(int eosTokenId) {
            return set("eosTokenId", eosTokenId);
        }

        public Builder padTokenId(int padTokenId) {
            return set("padTokenId", padTokenId);
        }

        /** @throws UserError if a value is missing, out of its bounds, or two do not fit together */
        public GptNeoxConfig build() {
            return values.make();
        }
    }
}
