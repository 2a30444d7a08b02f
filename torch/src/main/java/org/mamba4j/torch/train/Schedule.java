package org.mamba4j.torch.train;

/**
 * The learning rate of every step: it climbs linearly to its peak over the warm-up, then stays (constant), falls on a
 * straight line (linear) or on half a cosine wave (cosine) to the smallest rate, which the last step has exactly.
 *
 * <p>A pure function of the step, so a resumed run needs no state of it. Half a cosine stays near the peak while the
 * model still learns a lot and comes down gently: Loshchilov and Hutter, <i>SGDR</i> (2017), eq. 5 without restarts.
 *
 * @param shape what happens after the warm-up
 * @param peak the largest learning rate
 * @param lowest the rate of the last step
 * @param warmup steps until the peak; 0 starts there
 * @param steps steps of the whole run
 */
public record Schedule(Shape shape, double peak, double lowest, int warmup, int steps) {
    /** Course of the learning rate after the warm-up. */
    public enum Shape {
        /** Stays at the peak. */
        CONSTANT,
        /** Falls on half a cosine wave. */
        COSINE,
        /** Falls on a straight line. */
        LINEAR
    }

    /**
     * The learning rate of a step.
     *
     * @param step counted from 0; beyond the last one the rate stays where it is
     */
    public double rate(int step) {
        if (step < warmup) {
            return peak * (step + 1) / warmup;
        }
        // The last step is steps - 1: dividing by one less than the distance makes it end on `lowest`, not near it.
        double progress = Math.min(1, (step - warmup) / (double) Math.max(1, steps - 1 - warmup));
        return switch (shape) {
            case CONSTANT -> peak;
            case LINEAR -> peak + (lowest - peak) * progress;
            case COSINE -> lowest + (peak - lowest) * 0.5 * (1 + Math.cos(Math.PI * progress));
        };
    }
}
