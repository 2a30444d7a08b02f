package org.mamba4j.inference;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.mamba4j.UserError;
import org.mamba4j.model.ModelConfig;

/**
 * How a text is continued.
 *
 * @param maxNewTokens at most so many tokens are generated
 * @param sampling how each of them is chosen
 * @param stop generation ends where one of these texts appears; it is not part of the result, and may begin and end
 *     in the middle of a token
 * @param endTokens generation ends when one of these tokens is chosen; it is not part of the result
 */
public record GenerationOptions(int maxNewTokens, SamplingOptions sampling, List<String> stop, Set<Integer> endTokens) {
    /** 200 tokens, drawn from the model's own distribution, no stop text. */
    public static final GenerationOptions DEFAULTS =
            new GenerationOptions(200, SamplingOptions.DEFAULTS, List.of(), Set.of());

    /** @throws UserError if a value is out of its range */
    public GenerationOptions {
        stop = List.copyOf(stop);
        endTokens = Set.copyOf(endTokens);
        if (maxNewTokens < 0) {
            throw new UserError("max-new-tokens is " + maxNewTokens + " but must be 0 or greater");
        }
        if (stop.contains("")) {
            throw new UserError("a stop text is empty; leave --stop out to stop at --max-new-tokens only");
        }
    }

    public GenerationOptions withMaxNewTokens(int value) {
        return new GenerationOptions(value, sampling, stop, endTokens);
    }

    public GenerationOptions withSampling(SamplingOptions value) {
        return new GenerationOptions(maxNewTokens, value, stop, endTokens);
    }

    public GenerationOptions withStop(List<String> value) {
        return new GenerationOptions(maxNewTokens, sampling, value, endTokens);
    }

    public GenerationOptions withEndTokens(Set<Integer> value) {
        return new GenerationOptions(maxNewTokens, sampling, stop, value);
    }

    /** Ends also where the model says that its text has ended, if it has a token for that. */
    public GenerationOptions withEndTokenOf(ModelConfig config) {
        Set<Integer> all = new HashSet<>(endTokens);
        if (config.eosTokenId() >= 0) {
            all.add(config.eosTokenId());
        }
        return withEndTokens(all);
    }
}
