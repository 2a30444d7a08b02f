package org.mamba4j.tasks;

import java.util.Arrays;
import java.util.List;

/**
 * Perplexity by context length.
 *
 * @param windows windows measured, the same at every length
 * @param documents documents that they are from
 * @param scored tokens scored at the end of each window
 * @param lengths one entry per context length, in the order asked for
 */
public record PerplexityResult(int windows, int documents, int scored, List<AtLength> lengths) {
    /** Copies {@code lengths}. */
    public PerplexityResult {
        lengths = List.copyOf(lengths);
    }

    /**
     * What was measured at one length.
     *
     * @param length tokens read, the scored ones included
     * @param loss nats per token
     * @param perplexity exp(loss)
     * @param bitsPerByte the loss in bits, spread over the bytes that the scored tokens stand for
     * @param tokensPerSecond tokens read per second
     * @param losses nats per token of each window, in the windows' order
     */
    public record AtLength(
            int length,
            Estimate loss,
            Estimate perplexity,
            Estimate bitsPerByte,
            double tokensPerSecond,
            List<Double> losses) {
        /** Copies {@code losses}. */
        public AtLength {
            losses = List.copyOf(losses);
        }

        /**
         * This perplexity over another one of the same windows. What makes one window harder than another does not count:
         * the interval is that of the windows' differences.
         *
         * @throws IllegalArgumentException if the other has another number of windows
         */
        public Estimate over(AtLength other) {
            if (losses.size() != other.losses.size()) {
                throw new IllegalArgumentException(losses.size() + " windows, and " + other.losses.size());
            }
            double[] differences = new double[losses.size()];
            Arrays.setAll(differences, i -> losses.get(i) - other.losses.get(i));
            return Estimate.ofMean(differences).map(Math::exp);
        }
    }
}
