package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonObject;

/**
 * A Mamba language model: embedding, {@code nLayer} blocks x + mixer(RMSNorm(x)), final RMSNorm, head.
 *
 * <p>What each component means, its default and its bounds stand in its {@link ConfigField}. The bounds keep every
 * product of sizes far from overflow. A token id of {@link #NO_TOKEN} says that the model has no such token.
 *
 * <p>Source: A. Gu and T. Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023, section 3; the
 * keys are those of Hugging Face's MambaConfig and of state-spaces' config.json.
 */
public record MambaConfig(
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
                otherwise = "16",
                min = 1,
                max = 256,
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
                key = "time_step_rank",
                stateSpaces = "ssm_cfg.dt_rank",
                otherwise = "0",
                min = 0,
                max = 1 << 16,
                help = "rank of the projection to the time steps; \"auto\" is hidden_size / 16, rounded up")
        int dtRank,

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
                otherwise = "true",
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
                key = "time_step_scale",
                stateSpaces = "ssm_cfg.dt_scale",
                otherwise = "1.0",
                min = 0,
                max = 1e3,
                help = "dt_proj.weight is initialised within this / √dtRank")
        double dtScale,

        @ConfigField(
                key = "time_step_init_scheme",
                stateSpaces = "ssm_cfg.dt_init",
                otherwise = "random",
                oneOf = {"random", "constant"},
                help = "dt_proj.weight at initialisation: uniform within that bound, or equal to it")
        String dtInit,

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
                otherwise = "0",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that ends a text; generation stops at it")
        int eosTokenId,

        @ConfigField(
                key = "pad_token_id",
                stateSpaces = "pad_token_id",
                otherwise = "0",
                min = -1,
                max = Integer.MAX_VALUE,
                help = "token that fills a batch")
        int padTokenId)
        implements MambaStack {

    /** The fields: keys, defaults, bounds, help. */
    public static final ConfigSchema<MambaConfig> SCHEMA = ConfigSchema.of(MambaConfig.class);

    /** A token id that stands for no token; {@code null} in config.json. */
    public static final int NO_TOKEN = ConfigJson.NO_TOKEN;

    /** In place of a {@code dtRank}: ⌈dModel / 16⌉. */
    public static final int AUTO = 0;

    static final String MODEL_TYPE = "mamba";

    /** @throws UserError if a value is out of its bounds, or two do not fit together */
    public MambaConfig {
        SCHEMA.check(
                vocabSize,
                dModel,
                nLayer,
                dState,
                dConv,
                expand,
                dtRank,
                useBias,
                useConvBias,
                tieEmbeddings,
                normEpsilon,
                residualInFp32,
                dtMin,
                dtMax,
                dtInitFloor,
                dtScale,
                dtInit,
                initializerRange,
                rescalePrenormResidual,
                bosTokenId,
                eosTokenId,
                padTokenId);
        if (dtMin > dtMax) {
            throw new UserError("\"time_step_min\" is " + dtMin + ", but must be at most \"time_step_max\", " + dtMax);
        }
        dtRank = dtRank == AUTO ? autoDtRank(dModel) : dtRank;
    }

    private static int autoDtRank(int dModel) {
        return Math.ceilDiv(dModel, 16);
    }

    /** Starts from the defaults; {@code vocabSize}, {@code dModel} and {@code nLayer} have none. */
    public static Builder builder() {
        return new Builder(SCHEMA.values());
    }

    /** Starts from this configuration; a {@code dtRank} that was automatic follows {@code dModel}. */
    public Builder toBuilder() {
        Builder builder = new Builder(SCHEMA.values(this));
        return dtRank == autoDtRank(dModel) ? builder.dtRank(AUTO) : builder;
    }

    @Override
    public MambaConfig mamba() {
        return this;
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    /** Channels of the mixer (D): {@code expand · dModel}. */
    public int dInner() {
        return expand * dModel;
    }

    /** Columns of {@code x_proj}'s output: dtRank for the time step, dState each for B and C. */
    public int xProjSize() {
        return dtRank + 2 * dState;
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

    @Override
    public MambaConfig withVocabSize(int rows) {
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

    private void addLayer(String layer, List<TensorSpec> all) {
        String mixer = layer + "mixer.";
        all.add(TensorSpec.of(layer + "norm.weight", dModel));
        all.add(TensorSpec.of(mixer + "in_proj.weight", 2L * dInner(), dModel));
        if (useBias) {
            all.add(TensorSpec.of(mixer + "in_proj.bias", 2L * dInner()));
        }
        all.add(TensorSpec.of(mixer + "conv1d.weight", dInner(), 1, dConv));
        if (useConvBias) {
            all.add(TensorSpec.of(mixer + "conv1d.bias", dInner()));
        }
        all.add(TensorSpec.of(mixer + "x_proj.weight", xProjSize(), dInner()));
        all.add(TensorSpec.of(mixer + "dt_proj.weight", dInner(), dtRank));
        all.add(TensorSpec.of(mixer + "dt_proj.bias", dInner()));
        all.add(TensorSpec.of(mixer + "A_log", dInner(), dState));
        all.add(TensorSpec.of(mixer + "D", dInner()));
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
            all.add(TensorSpec.of("layers." + i + ".conv", dInner(), dConv - 1));
            all.add(TensorSpec.of("layers." + i + ".ssm", dInner(), dState));
        }
        all.add(TensorSpec.of("last_hidden", dModel));
        return List.copyOf(all);
    }

    @Override
    public JsonObject toJson() {
        return ConfigJson.write(SCHEMA, this, MODEL_TYPE, "MambaForCausalLM")
                .put("hidden_act", "silu")
                .put("intermediate_size", dInner())
                .build();
    }

    /** Collects the components by name; see {@link MambaConfig} for what they mean. */
    public static final class Builder {
        private final ConfigSchema<MambaConfig>.Values values;

        private Builder(ConfigSchema<MambaConfig>.Values values) {
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

        public Builder dtRank(int dtRank) {
            return set("dtRank", dtRank);
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

        public Builder dtScale(double dtScale) {
            return set("dtScale", dtScale);
        }

        public Builder dtInit(String dtInit) {
            return set("dtInit", dtInit);
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
        public MambaConfig build() {
            return values.make();
        }
    }
}
