package org.mamba4j.tasks.audio;

/**
 * Sound in 256 steps that are finer where it is softer: the tokens of a model of sound.
 *
 * <p>Of 16 bits a model would have to choose among 65,536 values; 8 bits in equal steps hiss where nobody speaks. Loudness
 * is heard by ratios, so the steps follow a logarithm with its pole cut off, F(x) = sgn x · ln(1 + µ |x|) / ln(1 + µ) with
 * µ = 255 [1], and F is rounded to one of 256 values; a sample decoded and encoded again is the same step. WaveNet [2]
 * made it the usual form.
 *
 * <p>References: [1] ITU-T G.711 (which approximates F by straight pieces; here it is computed). [2] A. van den Oord et
 * al.: WaveNet, arXiv 1609.03499, section 2.2.
 */
public final class MuLaw {
    /** Number of steps. */
    public static final int STEPS = 256;

    private static final double MU = 255;

    private MuLaw() {}

    /** The step, 0 to 255, of a sample in [-1, 1]; what lies outside is cut off. */
    public static int encode(float sample) {
        double x = Math.clamp(sample, -1.0, 1.0);
        double compressed = Math.signum(x) * Math.log1p(MU * Math.abs(x)) / Math.log1p(MU); // [-1, 1]
        return (int) Math.min(STEPS - 1, Math.round((compressed + 1) / 2 * (STEPS - 1)));
    }

    /** The middle of a step, in [-1, 1]. */
    public static float decode(int step) {
        double compressed = 2.0 * step / (STEPS - 1) - 1;
        return (float) (Math.signum(compressed) * Math.expm1(Math.abs(compressed) * Math.log1p(MU)) / MU);
    }
}
