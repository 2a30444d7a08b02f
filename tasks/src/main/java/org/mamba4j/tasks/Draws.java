package org.mamba4j.tasks;

import java.util.SplittableRandom;

/** Random numbers that are a function of a seed and of a batch's number. */
public final class Draws {
    private Draws() {}

    /**
     * The numbers of one batch, unlike those of any other batch or seed. A {@link SplittableRandom} counts up by a constant
     * and mixes what it counted: seeds that lie multiples of that constant apart give the same numbers, shifted. So seeds
     * are hashed, and batches lie next to each other.
     */
    public static SplittableRandom of(long seed, long batch) {
        return new SplittableRandom(new SplittableRandom(seed).nextLong() + batch);
    }
}
