package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;

/**
 * A Mamba-2 language model: blocks as a Mamba's, but one decay per head instead of one per channel and state, which makes
 * the recurrence a product of matrices.
 *
 * <p>What each component means, its default and its bounds stand in its {@link ConfigField}; how it is computed, in the
 * network. A token id of {@link MambaConfig#NO_TOKEN} says that the model has no such token.
 *
 * <p>Source: T. Dao and A. Gu, Transformers are SSMs, arXiv 2405.21060; the keys are those of Hugging Face's Mamba2Config,
 * where the two of {@code time_step_limit} are one list, and of state-spaces' config.json.
 */
public record Mamba2Config(
        @ConfigField(
                key = "vocab_size",
                stateSpaces = "vocab_size",
                min = 1,
                max = 1 << 24,
                help = "rows of the embedding, padding included; the width of the logits (V)")
        int vocabSize,

        @ConfigField(
                key = "hidden_size",
                stateSpaces = "d_model",
                min = 1,
                max = 1 << 16,
                help = "width of the residual stream (d)")
        int dModel,

        @ConfigField(
                key = "num_hidden_layers",
                stateSpaces = "n_layer",
                min = 1,
                max = 1 << 12,
                help = "number of blocks")
        int nLayer,

        @ConfigField(
                key = "state_size",
                stateSpaces = "ssm_cfg.d_state",
                otherwise = "128",
                min = 1,
                max = 1024,
                help = "numbers that the recurrence remembers per channel (N)")
        int dState,

        @ConfigField(
                key = "conv_kernel",
                stateSpaces = "ssm_cfg.d_conv",
                otherwise = "4",
                min = 1,
                max = 64,
                help = "taps of the causal convolution, the current token included")
        int dConv,

        @ConfigField(
                key = "expand",
                stateSpaces = "ssm_cfg.expand",
                otherwise = "2",
                min = 1,
                max = 64,
                help = "channels of the mixer per channel of the residual stream")
        int expand,

        @ConfigField(
                key = "head_dim",
                stateSpaces = "ssm_cfg.headdim",
                otherwise = "64",
                min = 1,
                max = 1 << 16,
                help = "channels that share one decay (P)")
        int headSize,

        @ConfigField(
                key = "num_heads",
                otherwise = "0",
                min = 0,
                max = 1 << 16,
                help = "heads (H), expand * hidden_size / head_dim; 0 for just that")
        int nHeads,

        @ConfigField(
                key = "n_groups",
                stateSpaces = "ssm_cfg.ngroups",
                otherwise = "1",
                min = 1,
                max = 1 << 12,
                help = "groups of heads (G), each of which shares how input enters the state and how it is read")
        int nGroups,

        @ConfigField(
                key = "chunk_size",
                stateSpaces = "ssm_cfg.chunk_size",
                otherwise = "256",
                min = 1,
                max = 1 << 16,
                help = "tokens of a chunk in training and in prompts; results differ by rounding only")
        int chunkSize,

        @ConfigField(
                key = "use_bias",
                stateSpaces = "ssm_cfg.bias",
                otherwise = "false",
                help = "whether the mixer's input and output projections have a bias")
        boolean useBias,

        @ConfigField(
                key = "use_conv_bias",
                stateSpaces = "ssm_cfg.conv_bias",
                otherwise = "true",
                help = "whether the convolution has a bias")
        boolean useConvBias,

        @ConfigField(
                key = "tie_word_embeddings",
                stateSpaces = "tie_embeddings",
                otherwise = "false",
                help = "whether the head is the embedding")
        boolean tieEmbeddings,

        @ConfigField(
                key = "layer_norm_epsilon",
                otherwise = "1e-5",
                min = 0,
                max = 1,
                help = "added to the mean square inside every RMSNorm")
        double normEpsilon,

        @ConfigField(
                key = "residual_in_fp32",
                stateSpaces = "residual_in_fp32",
                otherwise = "true",
                help = "whether the residual stream stays float32 when the rest is narrower")
        boolean residualInFp32,

        @ConfigField(
                key = "time_step_min",
                stateSpaces = "ssm_cfg.dt_min",
                otherwise = "0.001",
                min = 1e-9,
                max = 1e3,
                help = "least time step at initialisation")
        double dtMin,

        @ConfigField(
                key = "time_step_max",
                stateSpaces = "ssm_cfg.dt_max",
                otherwise = "0.1",
                min = 1e-9,
                max = 1e3,
                help = "greatest time step at initialisation; log-uniform between the two")
        double dtMax,

        @ConfigField(
                key = "time_step_floor",
                stateSpaces = "ssm_cfg.dt_init_floor",
                otherwise = "1e-4",
                min = 0,
                max = 1e3,
                help = "smaller time steps are raised to it at initialisation")
        double dtInitFloor,

        @ConfigField(
                key = "time_step_limit_low",
                otherwise = "0",
                min = 0,
                max = 1e6,
                help = "smaller time steps are raised to it in every pass")
        double dtLow,

        @ConfigField(
                key = "time_step_limit_high",
                otherwise = "0",
                min = 0,
                max = 1e6,
                help = "greater time steps are lowered to it in every pass; 0 for no limit")
        double dtHigh,

        @ConfigField(
                key = "initializer_range",
                otherwise = "0.1",
                min = 0,
                max = 1e3,
                help = "standard deviation of the embedding at initialisation")
        double initializerRange,

        @ConfigField(
                key = "rescale_prenorm_residual",
                otherwise = "false",
                help = "whether out_proj.weight is divided by √nLayer at initialisation")
        boolean rescalePrenormResidual,

        @ConfigField(
                key = "bos_token_id",
                stateSpaces = "bos_token_id",
                otherwise = "0",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that begins a text")
        int bosTokenId,

        @ConfigField(
                key = "eos_token_id",
                stateSpaces = "eos_token_id",
                otherwise = "2",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that ends a text; generation stops at it")
        int eosTokenId,

        @ConfigField(
                key = "pad_token_id",
                stateSpaces = "pad_token_id",
                otherwise = "1",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that fills a batch")
        int padTokenId)
        implements ModelConfig {

    /** The fields: keys, defaults, bounds, help. */
    public static final ConfigSchema<Mamba2Config> SCHEMA = ConfigSchema.of(Mamba2Config.class);

    /** In place of {@code nHeads}: what follows from the other sizes. */
    public static final int AUTO = 0;

    static final String MODEL_TYPE = "mamba2";

    /** @throws UserError if a value is out of its bounds, or two do not fit together */
    public Mamba2Config {
        SCHEMA.check(
                vocabSize,
                dModel,
                nLayer,
                dState,
                dConv,
                expand,
                headSize,
                nHeads,
                nGroups,
                chunkSize,
                useBias,
                useConvBias,
                tieEmbeddings,
                normEpsilon,
                residualInFp32,
                dtMin,
                dtMax,
                dtInitFloor,
                dtLow,
                dtHigh,
                initializerRange,
                rescalePrenormResidual,
                bosTokenId,
                eosTokenId,
                padTokenId);
        int channels = expand * dModel;
        nHeads = nHeads == AUTO ? channels / headSize : nHeads;
        if ((long) nHeads * headSize != channels) {
            throw new UserError("\"num_heads\" is " + nHeads + " and \"head_dim\" " + headSize
                    + ", but their product must be \"expand\" times \"hidden_size\", " + channels);
        }
        if (nHeads % nGroups != 0) {
            throw new UserError(
                    "\"n_groups\" is " + nGroups + ", but \"num_heads\", " + nHeads + ", must be a multiple of it");
        }
        if (dtMin > dtMax) {
            throw new UserError("\"time_step_min\" is " + dtMin + ", but must be at most \"time_step_max\", " + dtMax);
        }
        if (dtHigh > 0 && dtLow > dtHigh) {
            throw new UserError("\"time_step_limit\" begins with " + dtLow + ", but ends with " + dtHigh);
        }
    }

    /** Starts from the defaults; {@code vocabSize}, {@code dModel} and {@code nLayer} have none. */
    public static Builder builder() {
        return new Builder(SCHEMA.values());
    }

    /** Starts from this configuration. */
    public Builder toBuilder() {
        return new Builder(SCHEMA.values(this));
    }

    /** Channels of the mixer (D): {@code expand · dModel}, or heads times their size. */
    public int dInner() {
        return expand * dModel;
    }

    /** Channels of the convolution: those of the mixer, and B and C of each group. */
    public int convSize() {
        return dInner() + 2 * nGroups * dState;
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public Mamba2Config withVocabSize(int rows) {
        return toBuilder().vocabSize(rows).build();
    }

    @Override
    public TensorSpec embedding() {
        TensorSpec embedding =
                TensorSpec.of("backbone.embeddings.weight", vocabSize, dModel).orNamed("backbone.embedding.weight");
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
        for (int i = 0; i < nLayer; i++) {
            addLayer("backbone.layers." + i + ".", all);
        }
        all.add(TensorSpec.of("backbone.norm_f.weight", dModel));
        if (!tieEmbeddings) {
            all.add(head());
        }
        return List.copyOf(all);
    }

    private void addLayer(String layer, List<TensorSpec> all) {
        String mixer = layer + "mixer.";
        long projected = (long) dInner() + convSize() + nHeads;
        all.add(TensorSpec.of(layer + "norm.weight", dModel));
        all.add(TensorSpec.of(mixer + "in_proj.weight", projected, dModel));
        if (useBias) {
            all.add(TensorSpec.of(mixer + "in_proj.bias", projected));
        }
        all.add(TensorSpec.of(mixer + "conv1d.weight", convSize(), 1, dConv));
        if (useConvBias) {
            all.add(TensorSpec.of(mixer + "conv1d.bias", convSize()));
        }
        all.add(TensorSpec.of(mixer + "dt_bias", nHeads));
        all.add(TensorSpec.of(mixer + "A_log", nHeads));
        all.add(TensorSpec.of(mixer + "D", nHeads));
        all.add(TensorSpec.of(mixer + "norm.weight", dInner()));
        all.add(TensorSpec.of(mixer + "out_proj.weight", dModel, dInner()));
        if (useBias) {
            all.add(TensorSpec.of(mixer + "out_proj.bias", dModel));
        }
    }

    /** Per layer the last {@code dConv - 1} inputs of the convolution and the recurrence's h; then the last output. */
    @Override
    public List<TensorSpec> stateTensors() {
        List<TensorSpec> all = new ArrayList<>();
        for (int i = 0; i < nLayer; i++) {
            all.add(TensorSpec.of("layers." + i + ".conv", convSize(), dConv - 1));
            all.add(TensorSpec.of("layers." + i + ".ssm", nHeads, headSize, dState));
        }
        all.add(TensorSpec.of("last_hidden", dModel));
        return List.copyOf(all);
    }

    @Override
    public JsonObject toJson() {
        return Mamba2ConfigReader.toJson(this);
    }

    static Mamba2Config read(JsonValue value, String source) {
        return Mamba2ConfigReader.read(value, source);
    }

    /** Collects the components by name; see {@link Mamba2Config} for what they mean. */
    public static final class Builder {
        private final ConfigSchema<Mamba2Config>.Values values;

        private Builder(ConfigSchema<Mamba2Config>.Values values) {
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

        public Builder dState(int dState) {
            return set("dState", dState);
        }

        public Builder dConv(int dConv) {
            return set("dConv", dConv);
        }

        public Builder expand(int expand) {
            return set("expand", expand);
        }

        public Builder headSize(int headSize) {
            return set("headSize", headSize);
        }

        public Builder nHeads(int nHeads) {
            return set("nHeads", nHeads);
        }

        public Builder nGroups(int nGroups) {
            return set("nGroups", nGroups);
        }

        public Builder chunkSize(int chunkSize) {
            return set("chunkSize", chunkSize);
        }

        public Builder useBias(boolean useBias) {
            return set("useBias", useBias);
        }

        public Builder useConvBias(boolean useConvBias) {
            return set("useConvBias", useConvBias);
        }

        public Builder tieEmbeddings(boolean tieEmbeddings) {
            return set("tieEmbeddings", tieEmbeddings);
        }

        public Builder normEpsilon(double normEpsilon) {
            return set("normEpsilon", normEpsilon);
        }

        public Builder residualInFp32(boolean residualInFp32) {
            return set("residualInFp32", residualInFp32);
        }

        public Builder dtMin(double dtMin) {
            return set("dtMin", dtMin);
        }

        public Builder dtMax(double dtMax) {
            return set("dtMax", dtMax);
        }

        public Builder dtInitFloor(double dtInitFloor) {
            return set("dtInitFloor", dtInitFloor);
        }

        public Builder dtLow(double dtLow) {
            return set("dtLow", dtLow);
        }

        public Builder dtHigh(double dtHigh) {
            return set("dtHigh", dtHigh);
        }

        public Builder initializerRange(double initializerRange) {
            return set("initializerRange", initializerRange);
        }

        public Builder rescalePrenormResidual(boolean rescalePrenormResidual) {
            return set("rescalePrenormResidual", rescalePrenormResidual);
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
        public Mamba2Config build() {
            return values.make();
        }
    }
}
