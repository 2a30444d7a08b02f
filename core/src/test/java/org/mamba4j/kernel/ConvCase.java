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
        float[] gradLastState) {

    /** Random values; {@code options} has one bit for each of silu, bias, initial state, gradient of the last state. */
    public static ConvCase random(Random random, int batch, int length, int channels, int width, int options) {
        int rows = batch * length * channels;
        int state = batch * channels * (width - 1);
        return new ConvCase(
                batch,
                length,
                channels,
                width,
                (options & 1) != 0,
                ScanCase.normal(random, rows, 1),
                ScanCase.normal(random, channels * width, 1),
                ScanCase.normal(random, (options & 2) != 0 ? channels : 0, 1),
                ScanCase.normal(random, (options & 4) != 0 ? state : 0, 1),
                ScanCase.normal(random, rows, 1),
                ScanCase.normal(random, (options & 8) != 0 ? state : 0, 1));
    }

    @Override
    public String toString() {
        return "B=" + batch + " L=" + length + " D=" + channels + " K=" + width + (silu ? " silu" : "")
                + (bias.length > 0 ? " bias" : "") + (initialState.length > 0 ? " state" : "")
                + (gradLastState.length > 0 ? " dstate" : "");
    }
}
