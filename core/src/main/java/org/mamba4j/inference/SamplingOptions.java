package org.mamba4j.inference;

import org.mamba4j.UserError;

/**
 * How the next token is chosen from a model's logits; {@link Sampler} says in which order the filters work.
 *
 * @param temperature logits are divided by it before they become probabilities: below 1 is more careful, above 1 more
 *     varied; 0 always takes the most likely token, and then the filters and the seed have no effect
 * @param topK only the k most likely tokens stay; 0 keeps all
 * @param topP only the smallest set of most likely tokens whose probabilities sum to at least this stays, in (0, 1];
 *     1 keeps all
 * @param minP only tokens at least this times as likely as the most likely one stay, in [0, 1]; 0 keeps all
 * @param repetitionPenalty logits of tokens that occurred before are divided by it where positive and multiplied where
 *     negative (Keskar et al. 2019, CTRL); 1 changes nothing
 * @param seed of the random draws: same seed, same logits, same tokens
 */
public record SamplingOptions(
        double temperature, int topK, double topP, double minP, double repetitionPenalty, long seed) {
    /** Temperature 1 and no filter: draws from the model's own distribution, seed 0. */
    public static final SamplingOptions DEFAULTS = new SamplingOptions(1, 0, 1, 0, 1, 0);

    /** Always the most likely token. */
    public static final SamplingOptions GREEDY = DEFAULTS.withTemperature(0);

    /** @throws UserError if a value is out of its range */
    public SamplingOptions {
        check(temperature >= 0 && temperature < Double.POSITIVE_INFINITY, "temperature", temperature, "0 or greater");
        check(topK >= 0, "top-k", topK, "0 (keep all) or greater");
        check(topP > 0 && topP <= 1, "top-p", topP, "in (0, 1]");
        check(minP >= 0 && minP <= 1, "min-p", minP, "in [0, 1]");
        check(
                repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY,
                "repetition-penalty",
                repetitionPenalty,
                "greater than 0");
    }

    public SamplingOptions withTemperature(double value) {
        return new SamplingOptions(value, topK, topP, minP, repetitionPenalty, seed);
    }

    public SamplingOptions withTopK(int value) {
        return new SamplingOptions(temperature, value, topP, minP, repetitionPenalty, seed);
    }

    public SamplingOptions withTopP(double value) {
        return new SamplingOptions(temperature, topK, value, minP, repetitionPenalty, seed);
    }

    public SamplingOptions withMinP(double value) {
        return new SamplingOptions(temperature, topK, topP, value, repetitionPenalty, seed);
    }

    public SamplingOptions withRepetitionPenalty(double value) {
        return new SamplingOptions(temperature, topK, topP, minP, value, seed);
    }

    public SamplingOptions withSeed(long value) {
        return new SamplingOptions(temperature, topK, topP, minP, repetitionPenalty, value);
    }

    private static void check(boolean holds, String name, Number value, String range) {
        if (!holds) {
            throw new UserError(name + " is " + value + " but must be " + range);
        }
    }
}
