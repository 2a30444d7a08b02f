package org.mamba4j.torch.fidelity;

import java.util.ArrayList;
import java.util.List;

/**
 * How a layer's states share out over time scales: a histogram over the logarithm of the time, so that a state that
 * forgets within a word and one that holds a chapter both find room.
 *
 * @param shares of all states, by bin; they add up to 1. Bin i holds times from {@link #edge}(i) to {@link #edge}(i + 1);
 *     the first and the last also hold what lies beyond
 */
public record TimeScales(List<Double> shares) {
    /** Bins in a factor of ten. */
    public static final int PER_DECADE = 8;

    private static final int FIRST_DECADE = -2;
    private static final int DECADES = 8;

    /** How many there are. */
    public static final int BINS = PER_DECADE * DECADES;

    /** Of nothing: shares of 0. */
    static final TimeScales NONE = of(new double[0]);

    /** Whether there is nothing that it counts. */
    public boolean isEmpty() {
        return shares.stream().allMatch(share -> share == 0);
    }

    /** Lower end of a bin. */
    public static double edge(int bin) {
        return Math.pow(10, FIRST_DECADE + (double) bin / PER_DECADE);
    }

    /**
     * Counts times.
     *
     * @param times positive; infinite ones fall in the last bin
     */
    static TimeScales of(double[] times) {
        double[] counts = new double[BINS];
        for (double time : times) {
            counts[bin(time)]++;
        }
        List<Double> shares = new ArrayList<>();
        for (double count : counts) {
            shares.add(times.length == 0 ? 0 : count / times.length);
        }
        return new TimeScales(List.copyOf(shares));
    }

    /** The bin of a time. */
    static int bin(double time) {
        return (int) Math.clamp(Math.floor(PER_DECADE * (Math.log10(time) - FIRST_DECADE)), 0, BINS - 1);
    }

    /** The time below which a share of the states lies, within a bin as if they lay there evenly in their logarithm. */
    public double quantile(double share) {
        double below = 0;
        int last = 0;
        for (int bin = 0; bin < BINS; bin++) {
            double here = shares.get(bin);
            if (here > 0 && below + here >= share) {
                double part = (share - below) / here;
                return edge(bin) * Math.pow(edge(bin + 1) / edge(bin), part);
            }
            below += here;
            last = here > 0 ? bin : last;
        }
        return edge(last + 1); // the shares add up to a little less than 1
    }
}
