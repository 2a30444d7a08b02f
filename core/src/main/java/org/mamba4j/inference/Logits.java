package org.mamba4j.inference;

import org.mamba4j.UserError;

/** What a model thinks of every token that may come next, before and after it is made a probability. */
public final class Logits {
    private Logits() {}

    /**
     * The natural logarithm of softmax(logits)[token], in double.
     *
     * @param logits (V)
     * @throws UserError if a logit is NaN or +∞, or that of {@code token} is -∞: then the text has no perplexity
     */
    public static double logProbability(float[] logits, int token) {
        float greatest = greatest(logits);
        if (logits[token] == Float.NEGATIVE_INFINITY) {
            throw new UserError(
                    "the logit of token " + token
                            + ", which the text has, is -Infinity: the model holds it for impossible, so there is no perplexity");
        }
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp((double) logit - greatest);
        }
        return (double) logits[token] - greatest - Math.log(sum);
    }

    /**
     * The greatest of them; -∞ if all are.
     *
     * @throws UserError if one is NaN or +∞: the model is damaged or its training diverged
     */
    public static float greatest(float[] logits) {
        float greatest = Float.NEGATIVE_INFINITY;
        for (int token = 0; token < logits.length; token++) {
            float logit = logits[token];
            if (Float.isNaN(logit) || logit == Float.POSITIVE_INFINITY) {
                throw new UserError("the logit of token " + token + " is " + logit
                        + ": the model's weights are damaged or its training diverged; use an earlier checkpoint");
            }
            greatest = Math.max(greatest, logit);
        }
        return greatest;
    }
}
