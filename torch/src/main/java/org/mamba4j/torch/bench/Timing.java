package org.mamba4j.torch.bench;

import java.util.Arrays;

/**
 * How long a call takes.
 *
 * @param medianSeconds of several
 * @param leastSeconds of them
 */
public record Timing(double medianSeconds, double leastSeconds) {
    static Timing of(double... seconds) {
        double[] sorted = seconds.clone();
        Arrays.sort(sorted);
        return new Timing(sorted[sorted.length / 2], sorted[0]);
    }
}
