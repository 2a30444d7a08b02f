package org.mamba4j.torch.fidelity;

import java.util.Arrays;

/**
 * How long what a token wrote survives in a layer's state.
 *
 * <p>Channel d keeps N numbers; number n loses half of what token t wrote there once the steps since add up to
 * Σ Δ_jd = ln 2 / |A_dn|. As that sum only grows, one pointer that never turns back finds the place for all tokens of a
 * channel and state in O(L); the time is straight within the token that crosses it, so a half-life can be shorter than a
 * token. Of the D · N times a token has, its half-life is the median, each counting as much as the token wrote there:
 * Δ_td · |B_tn|, its input left out.
 *
 * <p>The text ends at some point: where half of the weight has not yet halved by then, the half-life is not known but longer
 * than what was left of the text, and is given as infinite.
 */
final class Survival {
    private static final int PER_DECADE = 32;
    private static final int FIRST_DECADE = -3;
    private static final int BINS = 10 * PER_DECADE;

    private Survival() {}

    /**
     * Half-life of each token, in tokens.
     *
     * @param steps Δ, (L, D) row-major
     * @param b |B|: (L, N) row-major, or (D, N) where it is the channel's
     * @param ofToken which of the two
     * @param a (D, N) row-major, negative; of complex modes the real part
     */
    static double[] halfLives(float[] steps, float[] b, boolean ofToken, float[] a, int length) {
        int channels = steps.length / Math.max(1, length);
        int states = a.length / Math.max(1, channels);
        double[][] weights = new double[length][BINS + 1]; // the last one: not yet halved at the end
        double[] passed = new double[length];
        for (int d = 0; d < channels; d++) {
            double sum = 0;
            for (int t = 0; t < length; t++) {
                sum += steps[t * channels + d];
                passed[t] = sum;
            }
            for (int n = 0; n < states; n++) {
                double half = Math.log(2) / -a[d * states + n];
                int to = 0;
                for (int t = 0; t < length; t++) {
                    while (to < length && passed[to] - passed[t] < half) {
                        to++;
                    }
                    double weight = steps[t * channels + d] * Math.abs(b[(ofToken ? t : d) * states + n]);
                    weights[t][to == length ? BINS : bin(time(passed, t, to, half))] += weight;
                }
            }
        }
        double[] halfLives = new double[length];
        Arrays.setAll(halfLives, t -> median(weights[t]));
        return halfLives;
    }

    /** Tokens from {@code from} until the sum has grown by {@code half}, which it does within token {@code to}. */
    private static double time(double[] passed, int from, int to, double half) {
        double before = passed[to - 1] - passed[from];
        double step = passed[to] - passed[to - 1];
        return to - 1 - from + (half - before) / step;
    }

    private static int bin(double time) {
        return Math.clamp(Math.round(PER_DECADE * (Math.log10(time) - FIRST_DECADE)), 0, BINS - 1);
    }

    private static double median(double[] weights) {
        double all = 0;
        for (double weight : weights) {
            all += weight;
        }
        double below = 0;
        for (int bin = 0; bin < BINS; bin++) {
            below += weights[bin];
            if (below > 0 && below >= all / 2) {
                return Math.pow(10, FIRST_DECADE + (double) bin / PER_DECADE);
            }
        }
        return Double.POSITIVE_INFINITY;
    }
}
