package org.mamba4j.model;

/**
 * How a {@link MambaUNetConfig} gets shorter and wider towards its middle. What each component means, its default and its
 * bounds stand in its {@link ConfigField}.
 */
public record PoolingConfig(
        @ConfigField(
                key = "unet_pools",
                otherwise = "2",
                min = 1,
                max = 8,
                help = "how often the sequence is pooled; there are so many stages before the middle one and after it")
        int pools,

        @ConfigField(key = "unet_pool_size", otherwise = "4", min = 2, max = 64, help = "positions that become one (p)")
        int size,

        @ConfigField(
                key = "unet_widening",
                otherwise = "2",
                min = 1,
                max = 8,
                help = "how many times wider the stream is after each pooling")
        int widening) {

    /** The fields: keys, defaults, bounds, help. */
    public static final ConfigSchema<PoolingConfig> SCHEMA = ConfigSchema.of(PoolingConfig.class);

    /** All defaults. */
    public static final PoolingConfig DEFAULTS = SCHEMA.values().make();

    /** @throws org.mamba4j.UserError if a value is out of its bounds */
    public PoolingConfig {
        SCHEMA.check(pools, size, widening);
    }
}
