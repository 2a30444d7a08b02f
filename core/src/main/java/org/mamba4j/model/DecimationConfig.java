package org.mamba4j.model;

import java.util.Arrays;
import org.mamba4j.UserError;

/**
 * Which tokens a {@link DeciMambaConfig} leaves out of long texts. What each component means, its default and its bounds
 * stand in its {@link ConfigField}.
 *
 * <p>Source: DeciMamba, arXiv 2406.14528; the defaults are those of its passkey task.
 */
public record DecimationConfig(
        @ConfigField(
                key = "decimation_first_layer",
                otherwise = "12",
                min = 0,
                max = 4095,
                help = "first layer that leaves tokens out, counted from 0")
        int firstLayer,

        @ConfigField(
                key = "decimation_layers",
                otherwise = "1",
                min = 1,
                max = 4096,
                help = "layers, one after another, that leave tokens out")
        int layers,

        @ConfigField(
                key = "decimation_base_length",
                otherwise = "2000",
                min = 1,
                max = 1 << 30,
                help = "tokens that the first of these layers keeps of a longer text (L_base)")
        int baseLength,

        @ConfigField(
                key = "decimation_beta",
                otherwise = "0.5",
                min = 0,
                max = 1,
                help = "share of them that each of these layers keeps more than the next")
        double beta,

        @ConfigField(
                key = "decimation_min_length",
                otherwise = "20",
                min = 1,
                max = 1 << 30,
                help = "tokens of a text that every layer keeps at least")
        int minLength) {

    /** The fields: keys, defaults, bounds, help. */
    public static final ConfigSchema<DecimationConfig> SCHEMA = ConfigSchema.of(DecimationConfig.class);

    /** All defaults. */
    public static final DecimationConfig DEFAULTS = SCHEMA.values().make();

    /** How {@link #parse} reads it, for help texts. */
    public static final String SYNTAX = "layers=12-20;base=8000;beta=0.83;min=20";

    /** @throws UserError if a value is out of its bounds */
    public DecimationConfig {
        SCHEMA.check(firstLayer, layers, baseLength, beta, minLength);
    }

    /**
     * Reads what {@link #SYNTAX} shows: parts in any order, of which those left out keep their defaults; {@code layers=12}
     * is one layer.
     *
     * @throws UserError if it says something else
     */
    public static DecimationConfig parse(String text) {
        ConfigSchema<DecimationConfig>.Values values = SCHEMA.values();
        for (String part : text.split(";", -1)) {
            int equals = part.indexOf('=');
            String key = part.substring(0, Math.max(0, equals)).strip();
            String value = part.substring(equals + 1).strip();
            try {
                switch (key) {
                    case "layers" -> {
                        int[] range = Arrays.stream(value.split("-", 2))
                                .mapToInt(Integer::parseInt)
                                .toArray();
                        int last = range[range.length - 1];
                        values.set("firstLayer", range[0]).set("layers", last - range[0] + 1);
                    }
                    case "base" -> values.set("baseLength", Integer.valueOf(value));
                    case "beta" -> values.set("beta", Double.valueOf(value));
                    case "min" -> values.set("minLength", Integer.valueOf(value));
                    default ->
                        throw new UserError("decimation '" + text + "': '" + part
                                + "' is none of layers=, base=, beta=, min=; for example " + SYNTAX);
                }
            } catch (NumberFormatException e) {
                throw new UserError(
                        "decimation '" + text + "': '" + value + "' is no number; for example " + SYNTAX, e);
            }
        }
        return values.make();
    }

    /** Whether layer {@code layer}, from 0, leaves tokens out. */
    public boolean decimates(int layer) {
        return layer >= firstLayer && layer < firstLayer + layers;
    }

    /**
     * How many of the tokens that may be left out a layer keeps.
     *
     * @param layer one that {@link #decimates}, from 0
     * @param tokens that reach it and may be left out
     */
    public int kept(int layer, int tokens) {
        double wanted = Math.min(tokens, baseLength * Math.pow(beta, layer - firstLayer));
        return Math.min(tokens, (int) Math.max(wanted, minLength));
    }
}
