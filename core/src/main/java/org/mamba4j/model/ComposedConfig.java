package org.mamba4j.model;

import java.util.List;
import java.util.Objects;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonValue;

/**
 * A language model put together from parts: blocks x + mixer(RMSNorm(x)), where the mixer is a shape of block around an inner
 * layer that moves information along the sequence. The Mamba paper compares them all: three shapes of block (its table 1 and
 * 6) times four inner layers, which of Δ, B, C is selective (table 7), what A is at first (table 8).
 *
 * <p>What each component means, its default and its bounds stand in its {@link ConfigField}; {@code auto}, or 0 in place of a
 * size, is what fits the parts, see {@link Automatic}. A value that would change nothing for these parts is refused.
 *
 * <p>Blocks may have different inner layers: then {@code inner_layer} is a list of one for each, and {@code a_init},
 * {@code discretisation}, {@code selective} and {@code state_size} are those of the layers that take the value; the others have
 * what is automatic. {@link #layer} says what holds in a layer; the components have what was given where layers differ.
 *
 * <p>With block mamba, inner layer s6 and everything selective this is a {@link MambaConfig}'s model, under the same names.
 *
 * <p>Source: A. Gu and T. Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023, sections 3.4, 4.6.
 */
public record ComposedConfig(
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

        @ConfigField(
                key = "block",
                otherwise = "mamba",
                oneOf = {"plain", "h3", "mamba"},
                help = "what is around the inner layer: plain (GELU and GLU after it), h3 (products of"
                        + " projections before and after it), mamba (short convolution before, gate after it)")
        String block,

        @ConfigField(
                key = "inner_layer",
                otherwise = "s6",
                oneOf = {"s4", "s4d", "hyena", "s6"},
                help = "what moves information along the sequence: s4 (HiPPO, diagonal plus low rank), s4d (diagonal),"
                        + " hyena (long convolution), s6 (selective scan); a list of them has one for each block")
        List<String> innerLayers,

        @ConfigField(
                key = "a_init",
                otherwise = "auto",
                oneOf = {"auto", "lin", "inv", "legs", "real", "half", "random"},
                help = "A at first: complex lin (-1/2 + πni), inv, legs, or real real (-(n + 1)), half (-1/2), random"
                        + " (-exp of a normal); auto is real for s6, lin for s4d, legs for s4")
        String aInit,

        @ConfigField(
                key = "discretisation",
                otherwise = "auto",
                oneOf = {"auto", "zoh", "bilinear", "exponential-euler"},
                help =
                        "how a step is made of the continuous system: zoh or bilinear for s4d; auto is zoh for s4d, bilinear"
                                + " for s4, exponential-euler for s6")
        String discretisation,

        @ConfigField(
                key = "selective",
                otherwise = "all",
                oneOf = {"none", "delta", "b", "c", "delta-b", "delta-c", "b-c", "all"},
                help = "what s6 computes from the token itself, the rest being constant")
        String selective,

        @ConfigField(
                key = "state_size",
                otherwise = "0",
                min = 0,
                max = 256,
                help =
                        "numbers that the recurrence remembers per channel (N), a complex one counting twice; 0 is 16 for s6,"
                                + " 64 for s4 and s4d, none for hyena, which keeps the text")
        int dState,

        @ConfigField(
                key = "conv_kernel",
                otherwise = "0",
                min = 0,
                max = 256,
                help =
                        "taps of the block's own short convolution, the current token included; 0 is 4 for mamba, 64 for h3 (of k"
                                + " alone; around hyena 3, of q, k and v), none for plain")
        int dConv,

        @ConfigField(
                key = "expand",
                otherwise = "0",
                min = 0,
                max = 64,
                help = "channels of the inner layer per channel of the residual stream; 0 is 2 for mamba, else 1")
        int expand,

        @ConfigField(
                key = "time_step_rank",
                otherwise = "0",
                min = 0,
                max = 1 << 16,
                help = "rank of s6's projection to the time steps; 0 is hidden_size / 16, rounded up")
        int dtRank,

        @ConfigField(
                key = "kernel_length",
                otherwise = "1024",
                min = 1,
                max = 1 << 20,
                help = "tokens for which s4 stores its kernel, best those of a training sequence; longer texts pass in"
                        + " pieces of so many. For hyena the tokens over which its kernels fade")
        int kernelLength,

        @ConfigField(
                key = "mlp",
                otherwise = "none",
                oneOf = {"none", "gated"},
                help = "what follows each mixer, with a norm and a residual of its own")
        String mlp,

        @ConfigField(
                key = "intermediate_size",
                otherwise = "0",
                min = 0,
                max = 1 << 20,
                help = "width of the gated layer (F); 0 is 8/3 of hidden_size, rounded up to a multiple of 128")
        int dMlp,

        @ConfigField(
                key = "layer_norm_epsilon",
                otherwise = "1e-5",
                min = 0,
                max = 1,
                help = "added to the mean square inside every RMSNorm")
        double normEpsilon,

        @ConfigField(key = "tie_word_embeddings", otherwise = "true", help = "whether the head is the embedding")
        boolean tieEmbeddings,

        @ConfigField(
                key = "time_step_min",
                otherwise = "0.001",
                min = 1e-9,
                max = 1e3,
                help = "least time step at initialisation")
        double dtMin,

        @ConfigField(
                key = "time_step_max",
                otherwise = "0.1",
                min = 1e-9,
                max = 1e3,
                help = "greatest time step at initialisation; log-uniform between the two")
        double dtMax,

        @ConfigField(
                key = "initializer_range",
                otherwise = "0.02",
                min = 0,
                max = 1e3,
                help = "standard deviation of the embedding at initialisation")
        double initializerRange,

        @ConfigField(
                key = "rescale_prenorm_residual",
                otherwise = "true",
                help = "whether what writes to the residual stream is divided by its number of writers' root at"
                        + " initialisation")
        boolean rescalePrenormResidual,

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
    public static final ConfigSchema<ComposedConfig> SCHEMA = ConfigSchema.of(ComposedConfig.class);

    /** Width of the network that computes a Hyena's kernels. */
    public static final int FILTER_WIDTH = 64;

    /** Layers of that network between its first and its last one. */
    public static final int FILTER_LAYERS = 2;

    /** What that network sees of a distance. */
    public static final int FILTER_FEATURES = 3;

    static final String MODEL_TYPE = "composed";

    /** @throws UserError if a value is out of its bounds, or two do not fit together */
    public ComposedConfig {
        SCHEMA.check(
                vocabSize,
                dModel,
                nLayer,
                block,
                innerLayers,
                aInit,
                discretisation,
                selective,
                dState,
                dConv,
                expand,
                dtRank,
                kernelLength,
                mlp,
                dMlp,
                normEpsilon,
                tieEmbeddings,
                dtMin,
                dtMax,
                initializerRange,
                rescalePrenormResidual,
                bosTokenId,
                eosTokenId,
                padTokenId);
        if (innerLayers.size() != 1 && innerLayers.size() != nLayer) {
            throw new UserError("\"inner_layer\" lists " + innerLayers.size() + " layers, but must list "
                    + "\"num_hidden_layers\", " + nLayer + ", or name one for all");
        }
        List<String> kinds = innerLayers.stream().distinct().toList();
        innerLayers = kinds.size() == 1 ? kinds : List.copyOf(innerLayers);
        Automatic automatic = new Automatic(block, kinds, mlp, dModel);
        automatic.check(aInit, discretisation, selective, dState, dConv, expand, dMlp);
        aInit = automatic.aInit(aInit);
        discretisation = automatic.discretisation(discretisation);
        dState = automatic.dState(dState);
        dConv = automatic.dConv(dConv);
        expand = automatic.expand(expand);
        dtRank = automatic.dtRank(dtRank);
        dMlp = automatic.dMlp(dMlp);
        if (dtMin > dtMax) {
            throw new UserError("\"time_step_min\" is " + dtMin + ", but must be at most \"time_step_max\", " + dtMax);
        }
    }

    /** Starts from the defaults; {@code vocabSize}, {@code dModel} and {@code nLayer} have none. */
    public static Builder builder() {
        return new Builder(SCHEMA.values());
    }

    /** Starts from this configuration; what was automatic stays so. */
    public Builder toBuilder() {
        Builder builder = new Builder(SCHEMA.values(this));
        Automatic automatic =
                new Automatic(block, innerLayers.stream().distinct().toList(), mlp, dModel);
        return builder.aInit(Automatic.again(aInit, automatic::aInit))
                .discretisation(Automatic.again(discretisation, automatic::discretisation))
                .dState(Automatic.again(dState, automatic::dState))
                .dConv(Automatic.again(dConv, automatic::dConv))
                .expand(Automatic.again(expand, automatic::expand))
                .dtRank(Automatic.again(dtRank, automatic::dtRank))
                .dMlp(Automatic.again(dMlp, automatic::dMlp));
    }

    /**
     * What a layer is made of.
     *
     * @param index from 0
     */
    public LayerParts layer(int index) {
        Objects.checkIndex(index, nLayer);
        String inner = innerLayers.get(isHybrid() ? index : 0);
        return new LayerParts(
                this,
                inner,
                Automatic.aInit(inner, aInit),
                Automatic.discretisation(inner, discretisation),
                Automatic.dState(inner, dState),
                Automatic.dConv(block, inner, dConv));
    }

    /** Whether blocks have different inner layers. */
    public boolean isHybrid() {
        return innerLayers.size() > 1;
    }

    /** Channels of the inner layer (D). */
    public int dInner() {
        return expand * dModel;
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public ComposedConfig withVocabSize(int rows) {
        return toBuilder().vocabSize(rows).build();
    }

    @Override
    public TensorSpec embedding() {
        TensorSpec embedding = TensorSpec.of("backbone.embeddings.weight", vocabSize, dModel);
        // A file of a tied model may hold the one matrix under either name, or twice.
        return tieEmbeddings ? embedding.orNamed("lm_head.weight") : embedding;
    }

    @Override
    public TensorSpec head() {
        return tieEmbeddings ? embedding() : TensorSpec.of("lm_head.weight", vocabSize, dModel);
    }

    @Override
    public List<TensorSpec> parameters() {
        return new ComposedTensors(this).parameters();
    }

    @Override
    public List<TensorSpec> stateTensors() {
        return stateTensors(0);
    }

    /** Per layer what the block and its inner layer remember; then the last output. */
    @Override
    public List<TensorSpec> stateTensors(long tokens) {
        return new ComposedTensors(this).state(tokens);
    }

    @Override
    public JsonObject toJson() {
        return ConfigJson.write(SCHEMA, this, MODEL_TYPE, "ComposedForCausalLM").build();
    }

    static ComposedConfig read(JsonValue value, String source) {
        JsonFields json = JsonFields.of(value, source);
        ConfigJson.only(json, "model_type", new JsonString(MODEL_TYPE));
        ConfigJson.checkArchitectures(json, "ComposedForCausalLM");
        ComposedConfig config = ConfigJson.make(ConfigJson.values(SCHEMA, json)::make, source);
        checkList(json, config.nLayer());
        ConfigJson.refuseUnknown(json, "");
        return config;
    }

    /** A list of one is one for all in a record, which does not know how it was written. */
    private static void checkList(JsonFields json, int layers) {
        String key = "inner_layer";
        if (json.has(key)
                && json.value(key) instanceof JsonArray list
                && list.values().size() != layers) {
            throw json.error(key, "must list \"num_hidden_layers\", " + layers + ", or name one for all");
        }
    }

    /** Collects the components by name; see {@link ComposedConfig} for what they mean. */
    public static final class Builder {
        private final ConfigSchema<ComposedConfig>.Values values;

        private Builder(ConfigSchema<ComposedConfig>.Values values) {
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

        public Builder block(String block) {
            return set("block", block);
        }

        /** The same in all blocks. */
        public Builder innerLayer(String innerLayer) {
            return innerLayers(List.of(innerLayer));
        }

        /** One for each block. */
        public Builder innerLayers(List<String> innerLayers) {
            return set("innerLayers", innerLayers);
        }

        public Builder aInit(String aInit) {
            return set("aInit", aInit);
        }

        public Builder discretisation(String discretisation) {
            return set("discretisation", discretisation);
        }

        public Builder selective(String selective) {
            return set("selective", selective);
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

        public Builder kernelLength(int kernelLength) {
            return set("kernelLength", kernelLength);
        }

        public Builder mlp(String mlp) {
            return set("mlp", mlp);
        }

        public Builder dMlp(int dMlp) {
            return set("dMlp", dMlp);
        }

        public Builder normEpsilon(double normEpsilon) {
            return set("normEpsilon", normEpsilon);
        }

        public Builder tieEmbeddings(boolean tieEmbeddings) {
            return set("tieEmbeddings", tieEmbeddings);
        }

        public Builder dtMin(double dtMin) {
            return set("dtMin", dtMin);
        }

        public Builder dtMax(double dtMax) {
            return set("dtMax", dtMax);
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
        public ComposedConfig build() {
            return values.make();
        }
    }
}
