package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.LaneSum.sum;
import static org.mamba4j.kernel.vector.Lanes.broadcast;
import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.put;
import static org.mamba4j.kernel.vector.Lanes.zero;

import jdk.incubator.vector.FloatVector;
import org.mamba4j.kernel.WeightFormat;

/**
 * The product of stored rows with one token, which is what a generated token's time goes into: the weights are read once,
 * and widened in registers.
 *
 * <p>How fast a processor's memory delivers depends on how the loop asks for it. Floats, which do little per byte, are
 * read fastest as two streams, the upper and the lower half of the rows, by one loop over all of them: neighbouring rows
 * share pages, which confuses prefetchers, and a call per row halved the speed. Narrower formats are read fastest as one
 * stream (rows two by two took three times as long), with two chains of sums, as one is shorter than an addition takes.
 *
 * <p>Adding up the lanes of a row's sum takes as long as a third of a row of 768 bytes if the next row waits for it. So sums
 * are left as vectors, and added up by a loop that has nothing else to do. It also spares the compiler, to which a sum of
 * lanes costs an eighth of its budget for a method, and access to a single number a twenty-fifth, more than to a vector.
 *
 * <p>A row of four vectors, as a memory's notes and what is read of them have at 512 bits, is over before a loop in the loop
 * has got going: written out, with the token in registers, such rows take less than half the time.
 *
 * <p>Integer products of 8-bit activations are no faster on the Vector API, which has no instruction that adds products of
 * bytes: widening them to shorts, multiplying and adding neighbours takes 13 instructions for a block, widening to floats
 * 12, and needs no rounding of the activations.
 */
final class RowLoops {
    /** Columns of the rows that have loops of their own. */
    static final int FOUR = 4 * Lanes.COUNT;

    private RowLoops() {}

    /**
     * {@code rows} rows from {@code w} on, {@code stride} bytes apart, times {@code x}: for each row one vector of sums to
     * {@code sums}, of which {@link #finish} makes results.
     */
    @FunctionalInterface
    interface Loop {
        void run(long w, long stride, long x, int columns, float[] sums, int rows);
    }

    /** The loop for rows of {@code format} of so many columns. */
    static Loop of(WeightFormat format, int columns) {
        boolean four = columns == FOUR;
        return switch (format) {
            case F32 -> four ? RowLoops::f32Four : RowLoops::f32;
            case BF16 -> four ? RowLoops::bf16Four : RowLoops::bf16;
            case F16 -> RowLoops::f16;
            case Q8 -> RowLoops::q8;
            case Q4 -> RowLoops::q4;
        };
    }

    /** How many sums the vectors of a row go to in turn: one after the other, so that additions need not wait. */
    static int chains(WeightFormat format) {
        return format == WeightFormat.F32 ? 1 : 2;
    }

    /** Two streams; where the rows cannot be halved, both take the middle one. */
    private static void f32(long w, long stride, long x, int columns, float[] sums, int rows) {
        int whole = DenseLoops.whole(columns);
        int half = rows - rows / 2;
        int below = rows / 2;
        for (int row = 0; row < half; row++) {
            long upper = w + row * stride;
            long lower = upper + below * stride;
            FloatVector s0 = zero();
            FloatVector s1 = zero();
            for (int k = 0; k < whole; k += Lanes.COUNT) {
                FloatVector token = load(x + 4L * k);
                s0 = load(upper + 4L * k).fma(token, s0);
                s1 = load(lower + 4L * k).fma(token, s1);
            }
            s0.intoArray(sums, row * Lanes.COUNT);
            s1.intoArray(sums, (row + below) * Lanes.COUNT);
        }
    }

    /** As {@link #f32}, in the same order. */
    private static void f32Four(long w, long stride, long x, int columns, float[] sums, int rows) {
        FloatVector x0 = load(x);
        FloatVector x1 = load(x + Lanes.BYTES);
        FloatVector x2 = load(x + 2L * Lanes.BYTES);
        FloatVector x3 = load(x + 3L * Lanes.BYTES);
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector s = load(from).fma(x0, zero());
            s = load(from + Lanes.BYTES).fma(x1, s);
            s = load(from + 2L * Lanes.BYTES).fma(x2, s);
            s = load(from + 3L * Lanes.BYTES).fma(x3, s);
            s.intoArray(sums, row * Lanes.COUNT);
        }
    }

    /** As {@link #bf16}, in the same order. */
    private static void bf16Four(long w, long stride, long x, int columns, float[] sums, int rows) {
        FloatVector x0 = load(x);
        FloatVector x1 = load(x + Lanes.BYTES);
        FloatVector x2 = load(x + 2L * Lanes.BYTES);
        FloatVector x3 = load(x + 3L * Lanes.BYTES);
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector even = Widening.bf16Vector(from).fma(x0, zero());
            FloatVector odd = Widening.bf16Vector(from + Lanes.BYTES / 2).fma(x1, zero());
            even = Widening.bf16Vector(from + Lanes.BYTES).fma(x2, even);
            odd = Widening.bf16Vector(from + 3L * Lanes.BYTES / 2).fma(x3, odd);
            even.add(odd).intoArray(sums, row * Lanes.COUNT);
        }
    }

    private static void bf16(long w, long stride, long x, int columns, float[] sums, int rows) {
        int whole = DenseLoops.whole(columns);
        int pairs = whole & -(2 * Lanes.COUNT);
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector even = zero();
            FloatVector odd = zero();
            for (int k = 0; k < pairs; k += 2 * Lanes.COUNT) {
                int next = k + Lanes.COUNT;
                even = Widening.bf16Vector(from + 2L * k).fma(load(x + 4L * k), even);
                odd = Widening.bf16Vector(from + 2L * next).fma(load(x + 4L * next), odd);
            }
            if (pairs < whole) {
                even = Widening.bf16Vector(from + 2L * pairs).fma(load(x + 4L * pairs), even);
            }
            even.add(odd).intoArray(sums, row * Lanes.COUNT);
        }
    }

    private static void f16(long w, long stride, long x, int columns, float[] sums, int rows) {
        int whole = DenseLoops.whole(columns);
        int pairs = whole & -(2 * Lanes.COUNT);
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector even = zero();
            FloatVector odd = zero();
            for (int k = 0; k < pairs; k += 2 * Lanes.COUNT) {
                int next = k + Lanes.COUNT;
                even = Widening.f16Vector(from + 2L * k).fma(load(x + 4L * k), even);
                odd = Widening.f16Vector(from + 2L * next).fma(load(x + 4L * next), odd);
            }
            if (pairs < whole) {
                even = Widening.f16Vector(from + 2L * pairs).fma(load(x + 4L * pairs), even);
            }
            even.add(odd).intoArray(sums, row * Lanes.COUNT);
        }
    }

    /** Adds up the lanes of the sums of {@code rows} rows, and puts the results from {@code y} on. */
    static void finish(float[] sums, long y, int rows) {
        for (int row = 0; row < rows; row++) {
            put(y + 4L * row, sum(FloatVector.fromArray(Lanes.FLOATS, sums, row * Lanes.COUNT)));
        }
    }

    /** Adds to each result the products of the columns that fill no vector; formats with blocks have none. */
    static void tail(WeightFormat format, long w, long stride, long x, int columns, long y, int rows) {
        int whole = DenseLoops.whole(columns);
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            float d = get(y + 4L * row);
            for (int k = whole; k < columns; k++) {
                d += number(format, from, k) * get(x + 4L * k);
            }
            put(y + 4L * row, d);
        }
    }

    private static float number(WeightFormat format, long row, int column) {
        return switch (format) {
            case F32 -> get(row + 4L * column);
            case BF16 -> Widening.bf16(row + 2L * column);
            case F16 -> Widening.f16(row + 2L * column);
            case Q8, Q4 -> throw new AssertionError("rows of " + format + " are whole blocks");
        };
    }

    private static void q8(long w, long stride, long x, int columns, float[] sums, int rows) {
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector even = zero();
            FloatVector odd = zero();
            for (int k = 0; k < columns; k += WeightFormat.BLOCK) {
                FloatVector scale = broadcast(Widening.f16(from));
                long token = x + 4L * k;
                if (Lanes.COUNT == 16) { // without a loop in the loop: one and a quarter times as fast
                    even = Lanes.signedBytes(from + 2).mul(scale).fma(load(token), even);
                    odd = Lanes.signedBytes(from + 18).mul(scale).fma(load(token + 64), odd);
                } else {
                    long at = from + 2;
                    for (int pair = 0; pair < Lanes.PAIRS; pair++) {
                        long next = Lanes.COUNT;
                        even = Lanes.signedBytes(at).mul(scale).fma(load(token), even);
                        odd = Lanes.signedBytes(at + next).mul(scale).fma(load(token + 4 * next), odd);
                        at += 2 * next;
                        token += 8 * next;
                    }
                }
                from += 34;
            }
            even.add(odd).intoArray(sums, row * Lanes.COUNT);
        }
    }

    /**
     * Of a block of vectors of 16 lanes, the lower halves of its bytes are the even and the upper ones the odd; of shorter
     * vectors, both halves are walked through in turn, which is the order in which the numbers lie once they are widened.
     */
    private static void q4(long w, long stride, long x, int columns, float[] sums, int rows) {
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector even = zero();
            FloatVector odd = zero();
            for (int k = 0; k < columns; k += WeightFormat.BLOCK) {
                FloatVector scale = broadcast(Widening.f16(from));
                FloatVector offset = scale.mul(-8); // x = d (q - 8), exactly
                long token = x + 4L * k;
                if (Lanes.COUNT == 16) {
                    even = Lanes.lowHalves(from + 2).fma(scale, offset).fma(load(token), even);
                    odd = Lanes.highHalves(from + 2).fma(scale, offset).fma(load(token + 64), odd);
                } else {
                    for (int at = 0; at < 16; at += 2 * Lanes.COUNT) {
                        int next = at + Lanes.COUNT;
                        even = Lanes.lowHalves(from + 2 + at).fma(scale, offset).fma(load(token + 4L * at), even);
                        odd = Lanes.lowHalves(from + 2 + next)
                                .fma(scale, offset)
                                .fma(load(token + 4L * next), odd);
                    }
                    for (int at = 0; at < 16; at += 2 * Lanes.COUNT) {
                        int next = at + Lanes.COUNT;
                        even = Lanes.highHalves(from + 2 + at)
                                .fma(scale, offset)
                                .fma(load(token + 64 + 4L * at), even);
                        odd = Lanes.highHalves(from + 2 + next)
                                .fma(scale, offset)
                                .fma(load(token + 64 + 4L * next), odd);
                    }
                }
                from += 18;
            }
            even.add(odd).intoArray(sums, row * Lanes.COUNT);
        }
    }
}
