package org.mamba4j.inference;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.mamba4j.text.TokenReader;
import org.mamba4j.text.Tokenizer;

/**
 * Measures how well a model predicts a text: the probability of each token, given all before it. The text passes through
 * one state, piece by piece, so it may be of any length; what is held does not grow with it.
 */
public final class Scorer {
    /** Read at a time. */
    private static final int PIECE_BYTES = 1 << 16;

    /** Held to find a place to cut. */
    private static final int MOST_BYTES = 1 << 22;

    /** Scored at a time: about as often the consumer hears of something. */
    private static final int TOKENS = 1 << 10;

    private final LanguageModel model;
    private final Tokenizer tokenizer;

    /**
     * @param model stays the caller's to close
     * @param tokenizer the one that the model was trained with
     * @throws org.mamba4j.UserError if the tokenizer has ids that the model has no embedding for
     */
    public Scorer(LanguageModel model, Tokenizer tokenizer) {
        Requests.checkTokenizer(model, tokenizer);
        this.model = model;
        this.tokenizer = tokenizer;
    }

    /** Is told of every token, in the text's order. */
    @FunctionalInterface
    public interface TokenConsumer {
        /**
         * @param token its id
         * @param bytes what it stands for
         * @param logProbability log p(token | all before it), natural logarithm; NaN before the first token of a new state,
         *     of which there is nothing to predict it from
         */
        void accept(int token, byte[] bytes, double logProbability);
    }

    /**
     * Reads a text to its end.
     *
     * @param state what was read before; afterwards it has read the text as well
     * @param text UTF-8 (what is not is read as U+FFFD) or, with a tokenizer of bytes, anything; stays the caller's to close
     * @param consumer what it throws reaches the caller
     * @throws IOException what reading the text throws
     * @throws org.mamba4j.UserError if the model's logits are not numbers, or hold one of the tokens for impossible
     */
    public TextScore score(State state, InputStream text, TokenConsumer consumer) throws IOException {
        long start = System.nanoTime();
        TokenReader reader = new TokenReader(tokenizer, text, PIECE_BYTES, MOST_BYTES);
        Sum sum = new Sum();
        while (!reader.isDone()) {
            int[] tokens = reader.next();
            for (int from = 0; from < tokens.length; from += TOKENS) {
                int[] some = Arrays.copyOfRange(tokens, from, Math.min(tokens.length, from + TOKENS));
                double[] logProbabilities = model.logProbabilities(state, some);
                for (int i = 0; i < some.length; i++) {
                    byte[] bytes = tokenizer.bytes(some[i]);
                    sum.add(bytes.length, logProbabilities[i]);
                    consumer.accept(some[i], bytes, logProbabilities[i]);
                }
            }
        }
        double seconds = (System.nanoTime() - start) * 1e-9;
        return new TextScore(
                reader.bytesRead(),
                sum.tokens,
                sum.scoredTokens,
                sum.scoredBytes,
                sum.logProbability,
                reader.uncertainCuts(),
                seconds);
    }

    private static final class Sum {
        private long tokens;
        private long scoredTokens;
        private long scoredBytes;
        private double logProbability;

        void add(int bytes, double value) {
            tokens++;
            if (!Double.isNaN(value)) {
                scoredTokens++;
                scoredBytes += bytes;
                logProbability += value;
            }
        }
    }
}
