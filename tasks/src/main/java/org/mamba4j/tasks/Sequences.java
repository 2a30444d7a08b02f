package org.mamba4j.tasks;

import java.util.SplittableRandom;

/** Makes sequences of tokens of which some are answers. Thread-safe. */
interface Sequences {
    /**
     * A sequence.
     *
     * @param length its tokens
     * @param phase how far training has come: index of the phase
     * @param random all that it is drawn from
     * @param answers where it is written which tokens belong to an answer; as long as the sequence
     */
    int[] draw(int length, int phase, SplittableRandom random, boolean[] answers);
}
