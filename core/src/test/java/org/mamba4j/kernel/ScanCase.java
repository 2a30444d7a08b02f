package org.mamba4j.kernel;

import java.util.EnumSet;
import java.util.Random;
import java.util.Set;

/**
 * One selective scan, forward and backward, as dense arrays in the layouts of {@link ScanArguments}; an array of length
 * 0 is an absent optional. Documents begin where {@code resets} (B, L) is set.
 */
// The arrays are the point of this record, and tests change single values of them.
@SuppressWarnings("ArrayRecordComponent")
public record ScanCase(
        int batch,
        int length,
        int channels,
        int states,
        boolean softplus,
        float[] u,
        float[] delta,
        float[] a,
        float[] b,
        float[] c,
        float[] d,
        float[] deltaBias,
        float[] z,
        float[] initialState,
        float[] gradY,
        float[] gradLastState,
        boolean[] resets) {

    /** What a scan may have or not have. */
    public enum Option {
        SKIP,
        DELTA_BIAS,
        GATE,
        SOFTPLUS,
        INITIAL_STATE,
        LAST_STATE_GRADIENT,
        RESETS
    }

    public static final Set<Option> ALL = Set.copyOf(EnumSet.allOf(Option.class));

    /** Values of the size that a freshly initialised model has, with memories from one step to thousands. */
    public static ScanCase random(Random random, int batch, int length, int channels, int states, Set<Option> options) {
        int rows = batch * length;
        boolean softplus = options.contains(Option.SOFTPLUS);
        float[] a = new float[channels * states];
        for (int i = 0; i < a.length; i++) {
            a[i] = (float) -Math.exp(random.nextDouble() * 6 - 3);
        }
        float[] delta = normal(random, rows * channels, 1);
        for (int i = 0; i < delta.length && !softplus; i++) {
            delta[i] = (float) Math.exp(delta[i] - 3);
        }
        float[] deltaBias = optional(random, options, Option.DELTA_BIAS, channels);
        for (int i = 0; i < deltaBias.length; i++) {
            deltaBias[i] = softplus ? deltaBias[i] - 3 : 0.1f * Math.abs(deltaBias[i]);
        }
        return new ScanCase(
                batch,
                length,
                channels,
                states,
                softplus,
                normal(random, rows * channels, 1),
                delta,
                a,
                normal(random, rows * states, 1),
                normal(random, rows * states, 1),
                optional(random, options, Option.SKIP, channels),
                deltaBias,
                optional(random, options, Option.GATE, rows * channels),
                optional(random, options, Option.INITIAL_STATE, batch * channels * states),
                normal(random, rows * channels, 1),
                optional(random, options, Option.LAST_STATE_GRADIENT, batch * channels * states),
                options.contains(Option.RESETS) ? resets(random, rows) : new boolean[0]);
    }

    /** Steps {@code from} to {@code to} of this case, from another state and with another gradient of the last one. */
    ScanCase steps(int from, int to, float[] newInitialState, float[] newGradLastState) {
        return new ScanCase(
                batch,
                to - from,
                channels,
                states,
                softplus,
                steps(u, from, to, channels),
                steps(delta, from, to, channels),
                a,
                steps(b, from, to, states),
                steps(c, from, to, states),
                d,
                deltaBias,
                z.length == 0 ? z : steps(z, from, to, channels),
                newInitialState,
                steps(gradY, from, to, channels),
                newGradLastState,
                steps(resets, from, to));
    }

    private boolean[] steps(boolean[] flags, int from, int to) {
        boolean[] part = new boolean[flags.length == 0 ? 0 : batch * (to - from)];
        for (int i = 0; i < batch && part.length > 0; i++) {
            System.arraycopy(flags, i * length + from, part, i * (to - from), to - from);
        }
        return part;
    }

    private float[] steps(float[] rows, int from, int to, int width) {
        float[] part = new float[batch * (to - from) * width];
        for (int i = 0; i < batch; i++) {
            System.arraycopy(rows, (i * length + from) * width, part, i * (to - from) * width, (to - from) * width);
        }
        return part;
    }

    private static float[] optional(Random random, Set<Option> options, Option option, int size) {
        return options.contains(option) ? normal(random, size, 1) : new float[0];
    }

    /** Beginnings of documents, some of one step, most of some dozens. */
    static boolean[] resets(Random random, int size) {
        boolean[] values = new boolean[size];
        for (int i = 0; i < size; i++) {
            values[i] = random.nextInt(i % 100 < 10 ? 2 : 40) == 0;
        }
        return values;
    }

    static float[] normal(Random random, int size, double scale) {
        float[] values = new float[size];
        for (int i = 0; i < size; i++) {
            values[i] = (float) (random.nextGaussian() * scale);
        }
        return values;
    }

    /** The sizes, for messages. */
    @Override
    public String toString() {
        return "B=" + batch + " L=" + length + " D=" + channels + " N=" + states + (softplus ? " softplus" : "")
                + (d.length > 0 ? " D" : "") + (deltaBias.length > 0 ? " bias" : "") + (z.length > 0 ? " z" : "")
                + (initialState.length > 0 ? " h0" : "") + (gradLastState.length > 0 ? " dh_last" : "")
                + (resets.length > 0 ? " resets" : "");
    }
}
