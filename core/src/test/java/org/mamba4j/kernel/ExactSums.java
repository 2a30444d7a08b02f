package org.mamba4j.kernel;

/** Expected values in float64, each a sum, with what is needed to tell how exact float32 can be. */
public final class ExactSums {
    private final double[] values;
    private final double[] squares;

    /** Zeros, for terms to be added. */
    ExactSums(int size) {
        values = new double[size];
        squares = new double[size];
    }

    /** Finished sums of unknown terms. */
    static ExactSums of(double... values) {
        ExactSums sums = new ExactSums(values.length);
        for (int i = 0; i < values.length; i++) {
            sums.add(i, values[i]);
        }
        return sums;
    }

    void add(int i, double term) {
        values[i] += term;
        squares[i] += term * term;
    }

    /** The sums. */
    public double[] values() {
        return values;
    }

    /**
     * What errors are relative to: the greatest magnitude of a sum, or that which terms of such sizes have with random
     * signs, where they happen to cancel in all sums. (A gradient by B of one step is C times one number for all states:
     * when that number is small, so is the whole array, but not the rounding of its terms.)
     */
    double scale() {
        double scale = 0;
        for (int i = 0; i < values.length; i++) {
            scale = Math.max(scale, Math.max(Math.abs(values[i]), Math.sqrt(squares[i])));
        }
        return scale;
    }
}
