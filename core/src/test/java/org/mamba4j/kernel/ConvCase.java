package org.mamba4j.kernel;

import java.util.Random;

/** One causal convolution, forward and backward, as dense arrays; an array of length 0 is an absent optional. */
// The arrays are the point of this record, and tests change single values of them.
@SuppressWarnings("ArrayRecordComponent")
public record ConvCase(
        int batch,
        int length,
        int channels,
        int width,
        boolean silu,
        float[] x,
        float[] weight,
        float[] bias,
        float[] initialState,
        float[] gradY,
        float[] gradLastState,
        boolean[] resets) {

    public static final int SILU = 1;
    public static final int BIAS = 2;
    public static final int INITIAL_STATE = 4;
    public static final int LAST_STATE_GRADIENT = 8;
    public static final int RESETS = 16;
    public static final int ALL = 31;

    /** Random values; {@code options} has one bit for each of {@link #SILU} and so on. */
    public static ConvCase random(Random random, int batch, int length, int channels, int width, int options) {
        int rows = batch * length * channels;
        int state = batch * channels * (width - 1);
        return new ConvCase(
                batch,
                length,
                channels,
                width,
                (options & SILU) != 0,
                ScanCase.normal(random, rows, 1),
                ScanCase.normal(random, channels * width, 1),
                ScanCase.normal(random, (options & BIAS) != 0 ? channels : 0, 1),
                ScanCase.normal(random, (options & INITIAL_STATE) != 0 ? state : 0, 1),
                ScanCase.normal(random, rows, 1),
                ScanCase.normal(random, (options & LAST_STATE_GRADIENT) != 0 ? state : 0, 1),
                (options & RESETS) != 0 ? ScanCase.resets(random, batch * length) : new boolean[0]);
    }

    @Override
    public String toString() {
        return "B=" + batch + " L=" + length + " D=" + channels + " K=" + width + (silu ? " silu" : "")
                + (bias.length > 0 ? " bias" : "") + (initialState.length > 0 ? " state" : "")
                + (gradLastState.length > 0 ? " dstate" : "")
                + (resets.length > 0 ? " resets" : "");
    }
}
