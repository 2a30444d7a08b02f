package org.mamba4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class DrawsTest {
    private static final int SEEDS = 48;
    private static final int NUMBERS = 48;
    private static final int DRAWS = 32;

    @Test
    void noTwoStreamsShareANumber() {
        Set<Long> all = new HashSet<>();
        for (int seed = 0; seed < SEEDS; seed++) {
            for (int number = 0; number < NUMBERS; number++) {
                SplittableRandom random = Draws.of(seed, number);
                for (int i = 0; i < DRAWS; i++) {
                    all.add(random.nextLong());
                }
            }
        }
        assertThat(all).hasSize(SEEDS * NUMBERS * DRAWS);
    }

    @Test
    void firstNumbersOfNeighboursAreUncorrelated() {
        int[][] neighbours = {{0, 1}, {0, 2}, {1, 0}, {2, 0}, {1, 1}, {1, -1}};
        for (int[] step : neighbours) {
            for (int i = 0; i < 4; i++) {
                for (int j = 0; j < 4; j++) {
                    assertThat(Math.abs(correlation(step[0], step[1], i, j)))
                            .as("draw %d and draw %d of seed + %d, number + %d", i, j, step[0], step[1])
                            .isLessThan(4 / Math.sqrt(SEEDS * NUMBERS));
                }
            }
        }
    }

    /** Of a stream's draw {@code i} with draw {@code j} of its neighbour. */
    private static double correlation(int seeds, int numbers, int i, int j) {
        double sum = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            for (int number = 0; number < NUMBERS; number++) {
                sum += centred(seed, number, i) * centred(seed + seeds, number + numbers, j);
            }
        }
        return sum / (SEEDS * NUMBERS);
    }

    /** With mean 0 and variance 1. */
    private static double centred(long seed, long number, int draw) {
        SplittableRandom random = Draws.of(seed, number);
        for (int i = 0; i < draw; i++) {
            random.nextDouble();
        }
        return (random.nextDouble() - 0.5) * Math.sqrt(12);
    }

    @Test
    void aSeedOfTwoNumbersTellsThemApart() {
        assertThat(Draws.of(Draws.seed(1, 2), 3).nextLong())
                .isEqualTo(Draws.of(Draws.seed(1, 2), 3).nextLong())
                .isNotEqualTo(Draws.of(Draws.seed(1, 3), 2).nextLong())
                .isNotEqualTo(Draws.of(Draws.seed(2, 1), 3).nextLong());
    }
}
