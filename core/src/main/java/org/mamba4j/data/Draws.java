package org.mamba4j.data;

import java.util.SplittableRandom;

/**
 * Random numbers that are a function of a seed and of a number: that of a batch, a trial, a layer.
 *
 * <p>A {@link SplittableRandom} adds a constant γ to its seed for each number that it draws, and mixes the sum. So seeds
 * that lie a small multiple of γ apart give the same numbers, a few draws later: with {@code seed * γ + batch}, which
 * looks like a hash, seeds 1 and 2 read the same text one draw apart. Here the seed is mixed, and the number added.
 *
 * <p>Streams of one seed share nothing: γ is 2^64 over the golden ratio, whose multiples keep away from 0 as far as
 * any's, by 0.38 · 2^64 / m for m γ, so streams whose numbers are d apart do not meet within m draws while d · m &lt;
 * 2^62. Different seeds are mixed to places as if drawn at random: that of two seeds any of 2^20 streams meet within 2^20
 * draws has a probability of 2^-22.
 */
public final class Draws {
    private Draws() {}

    /** The random numbers of one of a seed's streams. */
    public static SplittableRandom of(long seed, long number) {
        return new SplittableRandom(seed(seed, number));
    }

    /** What {@link #of} begins with; as a seed in its turn it tells streams by two numbers apart, or by more. */
    public static long seed(long seed, long number) {
        return new SplittableRandom(seed).nextLong() + number;
    }
}
