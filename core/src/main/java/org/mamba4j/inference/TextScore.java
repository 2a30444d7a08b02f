package org.mamba4j.inference;

/**
 * How well a model predicts a text, which begins with a token that nothing predicts, unless the state had read something.
 *
 * @param bytes of the text
 * @param tokens of the text
 * @param scoredTokens those that were predicted
 * @param scoredBytes what they stand for
 * @param logProbability sum of their log probabilities, natural logarithm
 * @param uncertainCuts how often the text was cut where its tokens may then be others than those of the whole, for want of
 *     a better place in some megabytes
 * @param seconds it took
 */
public record TextScore(
        long bytes,
        long tokens,
        long scoredTokens,
        long scoredBytes,
        double logProbability,
        int uncertainCuts,
        double seconds) {
    /** Bits that the model needs for a byte of the text; NaN if no token was scored. */
    public double bitsPerByte() {
        return -logProbability / Math.log(2) / scoredBytes;
    }

    /** exp of the mean loss per token; NaN if no token was scored. */
    public double perplexity() {
        return Math.exp(-logProbability / scoredTokens);
    }

    /** Of all tokens, those that are not scored included. */
    public double tokensPerSecond() {
        return tokens / Math.max(1e-9, seconds);
    }

    /** Both texts together, one after the other. */
    public TextScore plus(TextScore other) {
        return new TextScore(
                bytes + other.bytes,
                tokens + other.tokens,
                scoredTokens + other.scoredTokens,
                scoredBytes + other.scoredBytes,
                logProbability + other.logProbability,
                uncertainCuts + other.uncertainCuts,
                seconds + other.seconds);
    }
}
