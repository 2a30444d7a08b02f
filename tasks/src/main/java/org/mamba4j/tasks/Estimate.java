package org.mamba4j.tasks;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;

/**
 * A measured figure and its 95 % interval.
 *
 * @param value the figure
 * @param low lower end of the interval; equal to value where a single observation allows none
 * @param high upper end of the interval; equal to value where a single observation allows none
 */
public record Estimate(double value, double low, double high) {
    /** The normal distribution's 97.5 % quantile. */
    private static final double NORMAL = 1.959963984540054;

    /** The mean of independent observations with Student's interval; of one observation, that one with no width. */
    public static Estimate ofMean(double... observations) {
        int n = observations.length;
        double mean = Arrays.stream(observations).average().orElse(Double.NaN);
        if (n < 2) {
            return new Estimate(mean, mean, mean);
        }
        double squares =
                Arrays.stream(observations).map(x -> (x - mean) * (x - mean)).sum();
        double half = student(n - 1) * Math.sqrt(squares / (n - 1) / n);
        return new Estimate(mean, mean - half, mean + half);
    }

    /**
     * The sum of {@code numerators} over that of {@code denominators}: a rate whose observations weigh by their
     * denominators. The interval is Student's on the residuals (Cochran, Sampling Techniques, 1977, section 6.4).
     *
     * @param denominators not negative, as many as numerators
     */
    public static Estimate ofRatio(double[] numerators, double[] denominators) {
        double whole = Arrays.stream(denominators).sum();
        double ratio = Arrays.stream(numerators).sum() / whole;
        int n = numerators.length;
        double[] around = new double[n];
        for (int i = 0; i < n; i++) {
            around[i] = ratio + (numerators[i] - ratio * denominators[i]) * n / whole;
        }
        Estimate mean = ofMean(around); // of mean `ratio`, up to rounding
        return new Estimate(ratio, mean.low(), mean.high());
    }

    /**
     * How often something that happened {@code times} of {@code trials} times happens, with Wilson's interval: it stays in
     * [0, 1] and has a width where all or none did (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).
     *
     * @param trials independent, at least 1
     */
    public static Estimate ofShare(int times, int trials) {
        double share = (double) times / trials;
        double z2 = NORMAL * NORMAL / trials;
        double centre = (share + z2 / 2) / (1 + z2);
        double half = NORMAL / (1 + z2) * Math.sqrt((share * (1 - share) + z2 / 4) / trials);
        return new Estimate(share, Math.max(0, centre - half), Math.min(1, centre + half));
    }

    /** The same through an increasing function. */
    public Estimate map(DoubleUnaryOperator increasing) {
        return new Estimate(
                increasing.applyAsDouble(value), increasing.applyAsDouble(low), increasing.applyAsDouble(high));
    }

    /**
     * The 97.5 % quantile of Student's distribution: exact for 1 and 2 degrees of freedom, for more the expansion in
     * the normal quantile (Abramowitz and Stegun, 26.7.5), within 0.2 %.
     */
    public static double student(int degrees) {
        double p = 0.975;
        if (degrees == 1) {
            return Math.tan(Math.PI * (p - 0.5));
        }
        if (degrees == 2) {
            return (2 * p - 1) / Math.sqrt(2 * p * (1 - p));
        }
        double z = NORMAL;
        double v = degrees;
        double g1 = (Math.pow(z, 3) + z) / 4;
        double g2 = (5 * Math.pow(z, 5) + 16 * Math.pow(z, 3) + 3 * z) / 96;
        double g3 = (3 * Math.pow(z, 7) + 19 * Math.pow(z, 5) + 17 * Math.pow(z, 3) - 15 * z) / 384;
        double g4 =
                (79 * Math.pow(z, 9) + 776 * Math.pow(z, 7) + 1482 * Math.pow(z, 5) - 1920 * Math.pow(z, 3) - 945 * z)
                        / 92160;
        return z + g1 / v + g2 / (v * v) + g3 / (v * v * v) + g4 / (v * v * v * v);
    }
}
