package org.mamba4j.tasks;

import java.util.List;

/**
 * Perplexity by context length.
 *
 * @param windows windows measured, the same at every length
 * @param scored tokens scored at the end of each window
 * @param lengths one entry per context length, in the order asked for
 */
public record PerplexityResult(int windows, int scored, List<AtLength> lengths) {
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
     */
    public record AtLength(
            int length, Estimate loss, Estimate perplexity, Estimate bitsPerByte, double tokensPerSecond) {}
}
