package org.mamba4j.experiments;

import java.nio.file.Path;
import java.util.List;

/**
 * What an experiment is run with.
 *
 * @param scale how much of it
 * @param device {@code cpu}, {@code cuda} or {@code cuda:N}
 * @param seeds each part is run with each of them
 * @param data folder of the data sets, with {@code books}, {@code dna}, {@code audio} in it; need not be there for
 *     experiments that make up their data
 * @param steps training steps instead of the scale's own; 0 for those
 */
public record Setup(Scale scale, String device, List<Long> seeds, Path data, int steps) {
    /** Copies {@code seeds}. */
    public Setup {
        seeds = List.copyOf(seeds);
        if (seeds.isEmpty() || steps < 0) {
            throw new IllegalArgumentException("seeds " + seeds + ", steps " + steps);
        }
    }

    /** What the scale has of three. */
    public <T> T by(T smoke, T small, T full) {
        return switch (scale) {
            case SMOKE -> smoke;
            case SMALL -> small;
            case FULL -> full;
        };
    }

    /** Training steps: the user's, or those of the scale. */
    public int stepsBy(int smoke, int small, int full) {
        return steps > 0 ? steps : by(smoke, small, full);
    }
}
