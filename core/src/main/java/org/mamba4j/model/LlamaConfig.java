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
 * A Transformer of Llama's kind, the Mamba paper's Transformer++: rotary positions, grouped queries, SwiGLU, RMSNorm.
 *
 * <p>What each component means, its default and its bounds stand in its {@link ConfigField}; how it is computed, in the
 * network. A token id of {@link MambaConfig#NO_TOKEN} says that the model has no such token.
 *
 * <p>The keys are those of Hugging Face's LlamaConfig; the rotary positions' lie in {@code rope_parameters} there, with
 * {@code rope_} in front of what is not a name of its own here. Positions of other kinds, and blocks without the gated layer, are for
 * comparisons and of this project alone.
 */
public record LlamaConfig(
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
                key = "num_key_value_heads",
                otherwise = "0",
                min = 0,
                max = 1 << 12,
                help = "heads of keys and values, each for a group of heads (K); 0 for as many as there are heads")
        int nKvHeads,

        @ConfigField(
                key = "head_dim",
                otherwise = "0",
                min = 0,
                max = 1 << 16,
                help = "width of a head; 0 for hidden_size / num_attention_heads")
        int headSize,

        @ConfigField(
                key = "intermediate_size",
                min = 0,
                max = 1 << 20,
                help = "width of the gated layer between attentions (F); 0 for blocks of attention alone")
        int dMlp,

        @ConfigField(
                key = "hidden_act",
                otherwise = "silu",
                oneOf = {"silu", "gelu", "gelu_pytorch_tanh", "gelu_new", "gelu_fast", "relu"},
                help = "of the gate")
        String activation,

        @ConfigField(
                key = "rms_norm_eps",
                otherwise = "1e-6",
                min = 0,
                max = 1,
                help = "added to the mean square inside every RMSNorm")
        double normEpsilon,

        @ConfigField(
                key = "attention_bias",
                otherwise = "false",
                help = "whether the four projections of attention have a bias")
        boolean attentionBias,

        @ConfigField(
                key = "mlp_bias",
                otherwise = "false",
                help = "whether the three projections of the gated layer have a bias")
        boolean mlpBias,

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

        @ConfigField(
                key = "position_embedding",
                otherwise = "rope",
                oneOf = {"rope", "xpos", "sinusoidal", "learned", "none"},
                help =
                        "how attention knows where tokens stand: turned queries and keys, these fading with distance too, or vectors that join the embedding; Hugging Face's models have rope")
        String positions,

        @ConfigField(
                key = "xpos_scale_base",
                otherwise = "512",
                min = 1,
                max = 1e9,
                help = "with position_embedding xpos, distance in tokens at which pair 0 has faded to 2/7")
        double xposScaleBase,

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
                        "tokens of the longest text that it was made for: where positions are learned, no longer one can be read; else nothing is computed from it")
        int maxPositions,

        @ConfigField(
                key = "bos_token_id",
                otherwise = "1",
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
    public static final ConfigSchema<LlamaConfig> SCHEMA = ConfigSchema.of(LlamaConfig.class);

    /** In place of {@code nKvHeads} or {@code headSize}: what follows from the other sizes. */
    public static final int AUTO = 0;

    /** Name of the table of learned positions. */
    public static final String POSITIONS = "model.embed_positions.weight";

    static final String MODEL_TYPE = "llama";

    /** @throws UserError if a value is out of its bounds, or two do not fit together */
    public LlamaConfig {
        SCHEMA.check(
                vocabSize,
                dModel,
                nLayer,
                nHeads,
                nKvHeads,
                headSize,
                dMlp,
                activation,
                normEpsilon,
                attentionBias,
                mlpBias,
                ropeTheta,
                ropeType,
                ropeFactor,
                ropeLowFreqFactor,
                ropeHighFreqFactor,
                ropeOriginalLength,
                positions,
                xposScaleBase,
                tieEmbeddings,
                initializerRange,
                maxPositions,
                bosTokenId,
                eosTokenId,
                padTokenId);
        headSize = headSize == AUTO ? Rope.headSize(dModel, nHeads) : headSize;
        nKvHeads = nKvHeads == AUTO ? nHeads : nKvHeads;
        if (nHeads % nKvHeads != 0) {
            throw new UserError("\"num_attention_heads\" is " + nHeads
                    + ", but must be a multiple of \"num_key_value_heads\", " + nKvHeads);
        }
        if (headSize % 2 != 0) {
            throw new UserError("\"head_dim\" is " + headSize + ", but must be even: positions turn pairs of numbers");
        }
        if (positions.equals("sinusoidal") && dModel % 2 != 0) {
            throw new UserError("\"hidden_size\" is " + dModel
                    + ", but must be even: a sinusoidal position has as many sines as cosines");
        }
        rope(ropeTheta, ropeType, ropeFactor, ropeLowFreqFactor, ropeHighFreqFactor, ropeOriginalLength, headSize);
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

    /** Whether there is a gated layer after each attention. */
    public boolean hasMlp() {
        return dMlp > 0;
    }

    /** How positions turn queries and keys. */
    public Rope rope() {
        return rope(
                ropeTheta, ropeType, ropeFactor, ropeLowFreqFactor, ropeHighFreqFactor, ropeOriginalLength, headSize);
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public LlamaConfig withVocabSize(int rows) {
        return toBuilder().vocabSize(rows).build();
    }

    @Override
    public TensorSpec embedding() {
        TensorSpec embedding = TensorSpec.of("model.embed_tokens.weight", vocabSize, dModel);
        // A file of a tied model may hold the one matrix under either name, or twice.
        return tieEmbeddings ? embedding.orNamed("lm_head.weight") : embedding;
    }

    @Override
    public TensorSpec head() {
        return tieEmbeddings ? embedding() : TensorSpec.of("lm_head.weight", vocabSize, dModel);
    }

    @Override
    public List<TensorSpec> parameters() {
        List<TensorSpec> all = new ArrayList<>();
        all.add(embedding());
        if (positions.equals("learned")) {
            all.add(TensorSpec.of(POSITIONS, maxPositions, dModel));
        }
        for (int i = 0; i < nLayer; i++) {
            String layer = "model.layers." + i + ".";
            String attention = layer + "self_attn.";
            String mlp = layer + "mlp.";
            all.add(TensorSpec.of(layer + "input_layernorm.weight", dModel));
            addLinear(all, attention + "q_proj", (long) nHeads * headSize, dModel, attentionBias);
            addLinear(all, attention + "k_proj", (long) nKvHeads * headSize, dModel, attentionBias);
            addLinear(all, attention + "v_proj", (long) nKvHeads * headSize, dModel, attentionBias);
            addLinear(all, attention + "o_proj", dModel, (long) nHeads * headSize, attentionBias);
            if (hasMlp()) {
                all.add(TensorSpec.of(layer + "post_attention_layernorm.weight", dModel));
                addLinear(all, mlp + "gate_proj", dMlp, dModel, mlpBias);
                addLinear(all, mlp + "up_proj", dMlp, dModel, mlpBias);
                addLinear(all, mlp + "down_proj", dModel, dMlp, mlpBias);
            }
        }
        all.add(TensorSpec.of("model.norm.weight", dModel));
        if (!tieEmbeddings) {
            all.add(head());
        }
        return List.copyOf(all);
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
        return Rope.stateTensors(nLayer, Shape.of(nKvHeads, tokens, headSize), dModel);
    }

    /** Old files hold the rotary positions' frequencies. */
    @Override
    public boolean isBuffer(String tensor) {
        return tensor.endsWith(".self_attn.rotary_emb.inv_freq");
    }

    @Override
    public JsonObject toJson() {
        return Rope.nest(
                ConfigJson.write(SCHEMA, this, MODEL_TYPE, "LlamaForCausalLM").build(), ropeType);
    }

    static LlamaConfig read(JsonValue value, String source) {
        JsonFields json = JsonFields.of(Rope.flatten(value, source), source);
        ConfigJson.only(json, "model_type", new JsonString(MODEL_TYPE));
        ConfigJson.checkArchitectures(json, "LlamaForCausalLM");
        ConfigJson.checkDecoderOnly(json);
        ConfigJson.only(json, "attention_dropout", JsonNumber.of(0.0), JsonNumber.of(0));
        ConfigJson.only(json, "partial_rotary_factor", JsonNumber.of(1.0), JsonNumber.of(1));
        json.has("pretraining_tp"); // how transformers cut its products, and the sum of the pieces is the product
        LlamaConfig config = ConfigJson.make(ConfigJson.values(SCHEMA, json)::make, source);
        ConfigJson.refuseUnknown(json, "");
        return config;
    }

    /** Collects the components by name; see {@link LlamaConfig} for what they mean. */
    public static final class Builder {
        private final ConfigSchema<LlamaConfig>.Values values;

        private Builder(ConfigSchema<LlamaConfig>.Values values) {
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

        public Builder nKvHeads(int nKvHeads) {
            return set("nKvHeads", nKvHeads);
        }

        public Builder headSize(int headSize) {
            return set("headSize", headSize);
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

        public Builder mlpBias(boolean mlpBias) {
            return set("mlpBias", mlpBias);
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

        public Builder positions(String positions) {
            return set("positions", positions);
        }

        public Builder xposScaleBase(double xposScaleBase) {
            return set("xposScaleBase", xposScaleBase);
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
        public LlamaConfig build() {
            return values.make();
        }
    }
}
