package org.mamba4j.model;

import org.mamba4j.UserError;
import org.mamba4j.memory.Replacement;

/**
 * The memory that a {@link MemMambaConfig} adds to a Mamba. What each component means, its default and its bounds stand
 * in its {@link ConfigField}.
 *
 * <p>Source: MemMamba, arXiv 2510.03279, for pool, summaries, thresholds, cross-token and cross-layer reading and the
 * fusion variants; chunk, period, first layer, places for the newest notes, the trigger by need, the growth of pools and notes at random are this project's.
 */
public record MemoryConfig(
        @ConfigField(
                key = "memory_chunk_size",
                otherwise = "64",
                min = 1,
                max = 1048576,
                help =
                        "tokens of a chunk (W): its notes are committed at its end, and every token of it reads the pools of the chunks before")
        int chunkSize,

        @ConfigField(
                key = "memory_pool_size",
                otherwise = "50",
                min = 1,
                max = 65536,
                help = "notes that a layer keeps (P)")
        int poolSize,

        @ConfigField(
                key = "memory_summary_size",
                otherwise = "64",
                min = 1,
                max = 16384,
                help = "numbers that a note holds (s)")
        int summarySize,

        @ConfigField(
                key = "memory_cross_layer_period",
                otherwise = "4",
                min = 1,
                max = 4096,
                help = "every so many layers (p) a layer reads the notes of those below it, as far down")
        int crossLayerPeriod,

        @ConfigField(
                key = "memory_first_layer",
                otherwise = "2",
                min = 1,
                max = 4096,
                help =
                        "first layer that has a memory, counted from 1; the first one's input is the bare embedding, so its notes hold no context")
        int firstLayer,

        @ConfigField(
                key = "memory_replacement",
                otherwise = "priority",
                oneOf = {"priority", "fifo"},
                help = "which notes a full pool keeps: those of greatest importance, or the newest")
        String replacement,

        @ConfigField(
                key = "memory_newest_size",
                otherwise = "0",
                min = 0,
                max = 65535,
                help =
                        "places of a pool that are the newest notes' under the replacement priority; the others keep the most important of those before")
        int newestSize,

        @ConfigField(
                key = "memory_fusion",
                otherwise = "residual",
                oneOf = {"residual", "gate", "plain", "product", "conv", "scalar"},
                help =
                        "how what was read (c, scaled by its read gate r) joins the residual stream x: x + rc; x + sigmoid(W[x; c])rc; x + c; x + x rc; x + depthwise convolution of rc; x + w rc")
        String fusion,

        @ConfigField(
                key = "memory_read_threshold",
                otherwise = "0",
                min = 0,
                max = 1,
                help = "only tokens whose read gate is greater read notes")
        double readThreshold,

        @ConfigField(
                key = "memory_cross_token",
                otherwise = "true",
                help = "whether tokens read the notes of their own layer")
        boolean crossToken,

        @ConfigField(
                key = "memory_cross_layer",
                otherwise = "true",
                help = "whether layers read the notes of those below")
        boolean crossLayer,

        @ConfigField(
                key = "memory_cross_layer_trigger",
                otherwise = "period",
                oneOf = {"period", "need"},
                help =
                        "where layers read those below: in every p-th, or in each, scaled by the share of attention that found nothing in the layer's own notes")
        String crossLayerTrigger,

        @ConfigField(
                key = "memory_pool_growth",
                otherwise = "0",
                min = 0,
                max = 65536,
                help = "notes by which a pool grows whenever the tokens read double")
        double poolGrowth,

        @ConfigField(
                key = "memory_pool_growth_from",
                otherwise = "8192",
                min = 1,
                max = 1073741824,
                help = "tokens read when a pool begins to grow")
        int poolGrowthFrom,

        @ConfigField(
                key = "memory_pool_limit",
                otherwise = "256",
                min = 1,
                max = 65536,
                help = "notes of a pool that has grown as far as it may; no less than memory_pool_size where it grows")
        int poolLimit,

        @ConfigField(
                key = "memory_importance",
                otherwise = "learned",
                oneOf = {"learned", "random"},
                help =
                        "what decides which tokens are noted: the trained scorer, or chance, which shows what the scorer is worth")
        String importance) {

    /** The fields: keys, defaults, bounds, help. */
    public static final ConfigSchema<MemoryConfig> SCHEMA = ConfigSchema.of(MemoryConfig.class);

    /** All defaults. */
    public static final MemoryConfig DEFAULTS = builder().build();

    /** Taps of the depthwise convolution of the fusion variant {@code conv}. */
    public static final int FUSION_TAPS = 4;

    /** @throws UserError if a value is out of its bounds, or two do not fit together */
    public MemoryConfig {
        SCHEMA.check(
                chunkSize,
                poolSize,
                summarySize,
                crossLayerPeriod,
                firstLayer,
                replacement,
                newestSize,
                fusion,
                readThreshold,
                crossToken,
                crossLayer,
                crossLayerTrigger,
                poolGrowth,
                poolGrowthFrom,
                poolLimit,
                importance);
        if (poolGrowth > 0 && poolLimit < poolSize) {
            throw new UserError("\"memory_pool_limit\" is " + poolLimit
                    + ", but must be at least \"memory_pool_size\", " + poolSize);
        }
        if (newestSize > 0 && (newestSize >= poolSize || replacement.equals("fifo"))) {
            throw new UserError("\"memory_newest_size\" is " + newestSize
                    + ", but must be less than \"memory_pool_size\", " + poolSize
                    + ", and 0 with \"memory_replacement\" fifo, under which all notes are the newest");
        }
        if (!crossToken && !crossLayer) {
            throw new UserError("\"memory_cross_token\" and \"memory_cross_layer\" are both false: nothing would read"
                    + " the notes; use model_type mamba instead");
        }
    }

    /** Starts from the defaults. */
    public static Builder builder() {
        return new Builder(SCHEMA.values());
    }

    /** Starts from this configuration. */
    public Builder toBuilder() {
        return new Builder(SCHEMA.values(this));
    }

    /** Which note a full pool gives up. */
    public Replacement replacementPolicy() {
        return replacement.equals("fifo") ? Replacement.FIFO : new Replacement(newestSize);
    }

    /** Whether chance decides what is noted, and not the scorer. */
    public boolean notesAtRandom() {
        return importance.equals("random");
    }

    /** Greatest number of notes that a pool ever holds. */
    public int greatestPool() {
        return poolGrowth > 0 ? poolLimit : poolSize;
    }

    /** Notes that a pool may hold after {@code tokens} have been read. */
    public int poolSizeAfter(long tokens) {
        if (poolGrowth == 0 || tokens <= poolGrowthFrom) {
            return poolSize;
        }
        double doublings = Math.log((double) tokens / poolGrowthFrom) / Math.log(2);
        return (int) Math.min(poolLimit, poolSize + Math.floor(poolGrowth * doublings));
    }

    /** Collects the components by name; see {@link MemoryConfig} for what they mean. */
    public static final class Builder {
        private final ConfigSchema<MemoryConfig>.Values values;

        private Builder(ConfigSchema<MemoryConfig>.Values values) {
            this.values = values;
        }

        private Builder set(String component, Object value) {
            values.set(component, value);
            return this;
        }

        public Builder chunkSize(int chunkSize) {
            return set("chunkSize", chunkSize);
        }

        public Builder poolSize(int poolSize) {
            return set("poolSize", poolSize);
        }

        public Builder summarySize(int summarySize) {
            return set("summarySize", summarySize);
        }

        public Builder crossLayerPeriod(int crossLayerPeriod) {
            return set("crossLayerPeriod", crossLayerPeriod);
        }

        public Builder firstLayer(int firstLayer) {
            return set("firstLayer", firstLayer);
        }

        public Builder replacement(String replacement) {
            return set("replacement", replacement);
        }

        public Builder newestSize(int newestSize) {
            return set("newestSize", newestSize);
        }

        public Builder fusion(String fusion) {
            return set("fusion", fusion);
        }

        public Builder readThreshold(double readThreshold) {
            return set("readThreshold", readThreshold);
        }

        public Builder crossToken(boolean crossToken) {
            return set("crossToken", crossToken);
        }

        public Builder crossLayer(boolean crossLayer) {
            return set("crossLayer", crossLayer);
        }

        public Builder crossLayerTrigger(String crossLayerTrigger) {
            return set("crossLayerTrigger", crossLayerTrigger);
        }

        public Builder poolGrowth(double poolGrowth) {
            return set("poolGrowth", poolGrowth);
        }

        public Builder poolGrowthFrom(int poolGrowthFrom) {
            return set("poolGrowthFrom", poolGrowthFrom);
        }

        public Builder poolLimit(int poolLimit) {
            return set("poolLimit", poolLimit);
        }

        public Builder importance(String importance) {
            return set("importance", importance);
        }

        /** @throws UserError if a value is out of its bounds, or two do not fit together */
        public MemoryConfig build() {
            return values.make();
        }
    }
}
