package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonValue;

/**
 * A recurrent network of the time before: LSTM or GRU layers between an embedding and a head.
 *
 * <p>What each component means, its default and its bounds stand in its {@link ConfigField}; how it is computed, in the
 * network. A token id of {@link MambaConfig#NO_TOKEN} says that the model has no such token.
 */
public record RecurrentConfig(
        @ConfigField(
                key = "vocab_size",
                min = 1,
                max = 1 << 24,
                help = "rows of the embedding, padding included; the width of the logits (V)")
        int vocabSize,

        @ConfigField(
                key = "hidden_size",
                min = 1,
                max = 1 << 16,
                help = "width of the embedding and of what each layer remembers (d)")
        int dModel,

        @ConfigField(key = "num_hidden_layers", min = 1, max = 1 << 12, help = "number of layers")
        int nLayer,

        @ConfigField(
                key = "cell",
                otherwise = "lstm",
                oneOf = {"lstm", "gru"},
                help = "what a layer is made of")
        String cell,

        @ConfigField(
                key = "residual",
                otherwise = "false",
                help =
                        "whether a layer reads the RMSNorm of its input and adds to it, as a Mamba block does, and the head reads a norm; else layers are stacked as they are")
        boolean residual,

        @ConfigField(
                key = "rms_norm_eps",
                otherwise = "1e-5",
                min = 0,
                max = 1,
                help = "added to the mean square inside every RMSNorm")
        double normEpsilon,

        @ConfigField(key = "tie_word_embeddings", otherwise = "false", help = "whether the head is the embedding")
        boolean tieEmbeddings,

        @ConfigField(
                key = "initializer_range",
                otherwise = "0.1",
                min = 0,
                max = 1e3,
                help = "standard deviation of the embedding at initialisation")
        double initializerRange,

        @ConfigField(
                key = "bos_token_id",
                otherwise = "-1",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that begins a text")
        int bosTokenId,

        @ConfigField(
                key = "eos_token_id",
                otherwise = "-1",
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
    public static final ConfigSchema<RecurrentConfig> SCHEMA = ConfigSchema.of(RecurrentConfig.class);

    static final String MODEL_TYPE = "rnn";

    private static final String ARCHITECTURE = "RecurrentForCausalLM";

    /** @throws org.mamba4j.UserError if a value is out of its bounds */
    public RecurrentConfig {
        SCHEMA.check(
                vocabSize,
                dModel,
                nLayer,
                cell,
                residual,
                normEpsilon,
                tieEmbeddings,
                initializerRange,
                bosTokenId,
                eosTokenId,
                padTokenId);
    }

    /** Starts from the defaults; sizes have none. */
    public static Builder builder() {
        return new Builder(SCHEMA.values());
    }

    /** Starts from this configuration. */
    public Builder toBuilder() {
        return new Builder(SCHEMA.values(this));
    }

    /** Whether a layer has a cell state beside what it puts out. */
    public boolean isLstm() {
        return cell.equals("lstm");
    }

    /** Gates of a cell, the candidate included: how often d rows stand in each of its matrices. */
    public int gates() {
        return isLstm() ? 4 : 3;
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public RecurrentConfig withVocabSize(int rows) {
        return toBuilder().vocabSize(rows).build();
    }

    @Override
    public TensorSpec embedding() {
        return TensorSpec.of("embedding.weight", vocabSize, dModel);
    }

    @Override
    public TensorSpec head() {
        return tieEmbeddings ? embedding() : TensorSpec.of("head.weight", vocabSize, dModel);
    }

    @Override
    public List<TensorSpec> parameters() {
        long rows = (long) gates() * dModel;
        List<TensorSpec> all = new ArrayList<>();
        all.add(embedding());
        for (int i = 0; i < nLayer; i++) {
            String layer = "layers." + i + ".";
            if (residual) {
                all.add(TensorSpec.of(layer + "norm.weight", dModel));
            }
            all.add(TensorSpec.of(layer + "weight_ih", rows, dModel));
            all.add(TensorSpec.of(layer + "weight_hh", rows, dModel));
            all.add(TensorSpec.of(layer + "bias_ih", rows));
            all.add(TensorSpec.of(layer + "bias_hh", rows));
        }
        if (residual) {
            all.add(TensorSpec.of("norm_f.weight", dModel));
        }
        if (!tieEmbeddings) {
            all.add(head());
        }
        return List.copyOf(all);
    }

    /** Per layer its last output and, of an LSTM, its cell; then what the head read last. */
    @Override
    public List<TensorSpec> stateTensors() {
        List<TensorSpec> all = new ArrayList<>();
        for (int i = 0; i < nLayer; i++) {
            all.add(TensorSpec.of("layers." + i + ".h", dModel));
            if (isLstm()) {
                all.add(TensorSpec.of("layers." + i + ".c", dModel));
            }
        }
        all.add(TensorSpec.of("last_hidden", dModel));
        return List.copyOf(all);
    }

    @Override
    public JsonObject toJson() {
        return ConfigJson.write(SCHEMA, this, MODEL_TYPE, ARCHITECTURE).build();
    }

    static RecurrentConfig read(JsonValue value, String source) {
        JsonFields json = JsonFields.of(value, source);
        ConfigJson.only(json, "model_type", new JsonString(MODEL_TYPE));
        ConfigJson.checkArchitectures(json, ARCHITECTURE);
        RecurrentConfig config = ConfigJson.make(ConfigJson.values(SCHEMA, json)::make, source);
        ConfigJson.refuseUnknown(json, "");
        return config;
    }

    /** Collects the components by name; see {@link RecurrentConfig} for what they mean. */
    public static final class Builder {
        private final ConfigSchema<RecurrentConfig>.Values values;

        private Builder(ConfigSchema<RecurrentConfig>.Values values) {
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

        public Builder cell(String cell) {
            return set("cell", cell);
        }

        public Builder residual(boolean residual) {
            return set("residual", residual);
        }

        public Builder normEpsilon(double normEpsilon) {
            return set("normEpsilon", normEpsilon);
        }

        public Builder tieEmbeddings(boolean tieEmbeddings) {
            return set("tieEmbeddings", tieEmbeddings);
        }

        public Builder initializerRange(double initializerRange) {
            return set("initializerRange", initializerRange);
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

        /** @throws org.mamba4j.UserError if a value is missing or out of its bounds */
        public RecurrentConfig build() {
            return values.make();
        }
    }
}
