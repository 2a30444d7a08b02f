package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.put;

import java.util.Arrays;
import org.mamba4j.kernel.WeightFormat;

/**
 * What a pass over a few tokens needs, number by number: what runs until {@link WarmUp} has the vector loops compiled. Sums
 * take their terms in the order of the vectors' lanes and operations round alike, so that results have the same bits,
 * whenever the one takes over from the other. Numbers are brought to arrays first, which the compilers do best with; that time
 * is short enough to make small ones for every call.
 */
final class ScalarLoops {
    private ScalarLoops() {}

    /**
     * {@code rows} stored rows times {@code tokens} tokens.
     *
     * @param w the first row; they lie {@code stride} bytes apart
     * @param x the first token, {@code columns} floats; they lie {@code xStride} bytes apart
     * @param y where its first result goes; those of the next token begin {@code yStride} bytes on
     */
    static void product(
            WeightFormat format,
            long w,
            long stride,
            int rows,
            int columns,
            long x,
            long xStride,
            int tokens,
            long y,
            long yStride) {
        float[] weights = Scratch.ofThread(0).scalars(rows * columns);
        for (int row = 0; row < rows; row++) {
            widen(format, w + row * stride, weights, row * columns, columns);
        }
        float[] token = new float[columns];
        float[] lanes = new float[2 * Lanes.COUNT];
        int chains = RowLoops.chains(format);
        for (int t = 0; t < tokens; t++) {
            Lanes.copy(x + t * xStride, 0, token, 0, 1, columns);
            for (int row = 0; row < rows; row++) {
                put(y + t * yStride + 4L * row, dot(weights, row * columns, token, columns, chains, lanes));
            }
        }
    }

    private static void widen(WeightFormat format, long from, float[] to, int at, int count) {
        switch (format) {
            case F32 -> Lanes.copy(from, 0, to, at, 1, count);
            case BF16 -> {
                for (int i = 0; i < count; i++) {
                    to[at + i] = Widening.bf16(from + 2L * i);
                }
            }
            case F16 -> {
                for (int i = 0; i < count; i++) {
                    to[at + i] = Widening.f16(from + 2L * i);
                }
            }
            case Q8 -> {
                for (int i = 0; i < count; i += WeightFormat.BLOCK) {
                    long block = from + (long) i / WeightFormat.BLOCK * 34;
                    float scale = Widening.f16(block);
                    for (int k = 0; k < WeightFormat.BLOCK; k++) {
                        to[at + i + k] = scale * Lanes.getByte(block + 2 + k);
                    }
                }
            }
            case Q4 -> {
                for (int i = 0; i < count; i += WeightFormat.BLOCK) {
                    long block = from + (long) i / WeightFormat.BLOCK * 18;
                    float scale = Widening.f16(block);
                    for (int k = 0; k < WeightFormat.BLOCK / 2; k++) {
                        int both = Lanes.getByte(block + 2 + k);
                        to[at + i + k] = scale * ((both & 15) - 8);
                        to[at + i + k + 16] = scale * (((both >>> 4) & 15) - 8);
                    }
                }
            }
        }
    }

    private static float dot(float[] w, int from, float[] x, int columns, int chains, float[] lanes) {
        int whole = DenseLoops.whole(columns);
        int step = chains * Lanes.COUNT;
        for (int lane = 0; lane < step; lane += 4) {
            chain(w, from, x, lane, whole, step, lanes);
        }
        if (chains == 2) {
            for (int i = 0; i < Lanes.COUNT; i++) {
                lanes[i] += lanes[i + Lanes.COUNT];
            }
        }
        float d = sum(lanes);
        for (int k = whole; k < columns; k++) {
            d += w[from + k] * x[k];
        }
        return d;
    }

    /** Four lanes, whose terms are {@code step} numbers apart. */
    private static void chain(float[] w, int from, float[] x, int lane, int whole, int step, float[] lanes) {
        float s0 = 0;
        float s1 = 0;
        float s2 = 0;
        float s3 = 0;
        for (int k = lane; k < whole; k += step) {
            s0 = Math.fma(w[from + k], x[k], s0);
            s1 = Math.fma(w[from + k + 1], x[k + 1], s1);
            s2 = Math.fma(w[from + k + 2], x[k + 2], s2);
            s3 = Math.fma(w[from + k + 3], x[k + 3], s3);
        }
        lanes[lane] = s0;
        lanes[lane + 1] = s1;
        lanes[lane + 2] = s2;
        lanes[lane + 3] = s3;
    }

    /** The sum of the first lanes in {@link LaneSum}'s order; changes them. */
    private static float sum(float[] lanes) {
        for (int distance = Lanes.COUNT / 2; distance > 0; distance /= 2) {
            for (int i = 0; i < distance; i++) {
                lanes[i] += lanes[i + distance];
            }
        }
        return lanes[0];
    }

    /** The norm of a row of the residual stream; {@code added} is 0 if there is nothing to add. */
    static void norm(long x, long added, long weight, float epsilon, int columns, long y) {
        float[] lanes = new float[Lanes.COUNT];
        int whole = DenseLoops.whole(columns);
        for (int i = 0; i < columns; i++) {
            float value = added == 0 ? get(x + 4L * i) : get(x + 4L * i) + get(added + 4L * i);
            put(x + 4L * i, value);
            if (i < whole) {
                lanes[i % Lanes.COUNT] = Math.fma(value, value, lanes[i % Lanes.COUNT]);
            }
        }
        double rest = sum(lanes);
        for (int i = whole; i < columns; i++) {
            rest += get(x + 4L * i) * get(x + 4L * i);
        }
        float scale = (float) (1 / Math.sqrt(rest / columns + epsilon));
        for (int i = 0; i < columns; i++) {
            put(y + 4L * i, get(x + 4L * i) * scale * get(weight + 4L * i));
        }
    }

    /** x += y. */
    static void add(long x, long y, int count) {
        for (int i = 0; i < count; i++) {
            put(x + 4L * i, get(x + 4L * i) + get(y + 4L * i));
        }
    }

    /** x = softplus(x). */
    static void softplus(long x, int count) {
        for (int i = 0; i < count; i++) {
            put(x + 4L * i, ScalarMath.softplus(get(x + 4L * i)));
        }
    }

    /** x = silu(x). */
    static void silu(long x, int count) {
        for (int i = 0; i < count; i++) {
            put(x + 4L * i, ScalarMath.silu(get(x + 4L * i)));
        }
    }

    /** The recurrence of {@link ScanStep} for all channels of {@code f}; b and c need no zeros behind them. */
    static void recurrence(StepFrame f) {
        int states = f.states;
        float[] lanes = new float[Lanes.COUNT];
        float[] b = new float[states];
        float[] c = new float[states];
        Lanes.copy(f.b, 0, b, 0, 1, states);
        Lanes.copy(f.c, 0, c, 0, 1, states);
        for (int i = 0; i < f.count; i++) {
            long offset = 4L * states * i;
            float power = get(f.delta + 4L * i) * ScalarMath.LOG2_E;
            float input = get(f.input + 4L * i);
            Arrays.fill(lanes, 0);
            for (int n = 0; n < states; n++) {
                long at = offset + 4L * n;
                float decay = ScalarMath.exp2(get(f.a + at) * power);
                float h = Math.fma(decay, get(f.before + at), b[n] * input);
                put(f.after + at, h);
                lanes[n % Lanes.COUNT] = Math.fma(h, c[n], lanes[n % Lanes.COUNT]);
            }
            put(f.y + 4L * i, sum(lanes));
        }
    }
}
