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
 * <p>How fast a processor's memory delivers depends on how the loop asks for it. Rows are read one after the other, as they
 * lie in the file: two at a time, which saves loads of the token, halved the speed, as prefetchers then see two streams in a
 * page. For floats, which do little per byte, the loop over rows is in here: a call per row also halved it. For narrower
 * formats a call per row was the faster, and two chains of sums, as one is shorter than an addition takes.
 *
 * <p>Integer products of 8-bit activations are no faster on the Vector API, which has no instruction that adds products of
 * bytes: widening them to shorts, multiplying and adding neighbours takes 13 instructions for a block, widening to floats
 * 12, and needs no rounding of the activations.
 */
final class RowLoops {
    private RowLoops() {}

    /** {@code rows} rows from {@code w} on, {@code stride} bytes apart, times {@code x}, to the floats from {@code y} on. */
    @FunctionalInterface
    interface Loop {
        void run(long w, long stride, long x, int columns, long y, int rows);
    }

    /** The loop for {@code format}. */
    static Loop of(WeightFormat format) {
        return switch (format) {
            case F32 -> RowLoops::f32;
            case BF16 -> RowLoops::bf16;
            case F16 -> RowLoops::f16;
            case Q8 -> RowLoops::q8;
            case Q4 -> RowLoops::q4;
        };
    }

    /** How many sums the vectors of a row go to in turn: one after the other, so that additions need not wait. */
    static int chains(WeightFormat format) {
        return format == WeightFormat.F32 ? 1 : 2;
    }

    private static void f32(long w, long stride, long x, int columns, long y, int rows) {
        int whole = DenseLoops.whole(columns);
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector s = zero();
            for (int k = 0; k < whole; k += Lanes.COUNT) {
                s = load(from + 4L * k).fma(load(x + 4L * k), s);
            }
            float d = sum(s);
            for (int k = whole; k < columns; k++) {
                d += get(from + 4L * k) * get(x + 4L * k);
            }
            put(y + 4L * row, d);
        }
    }

    private static void bf16(long w, long stride, long x, int columns, long y, int rows) {
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
            float d = sum(even.add(odd));
            for (int k = whole; k < columns; k++) {
                d += Widening.bf16(from + 2L * k) * get(x + 4L * k);
            }
            put(y + 4L * row, d);
        }
    }

    private static void f16(long w, long stride, long x, int columns, long y, int rows) {
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
            float d = sum(even.add(odd));
            for (int k = whole; k < columns; k++) {
                d += Widening.f16(from + 2L * k) * get(x + 4L * k);
            }
            put(y + 4L * row, d);
        }
    }

    private static void q8(long w, long stride, long x, int columns, long y, int rows) {
        for (int row = 0; row < rows; row++) {
            long from = w + row * stride;
            FloatVector even = zero();
            FloatVector odd = zero();
            for (int k = 0; k < columns; k += WeightFormat.BLOCK) {
                FloatVector scale = broadcast(Widening.f16(from));
                long at = from + 2;
                long token = x + 4L * k;
                for (int pair = 0; pair < Lanes.PAIRS; pair++) {
                    long next = Lanes.COUNT;
                    even = Lanes.signedBytes(at).mul(scale).fma(load(token), even);
                    odd = Lanes.signedBytes(at + next).mul(scale).fma(load(token + 4 * next), odd);
                    at += 2 * next;
                    token += 8 * next;
                }
                from += 34;
            }
            put(y + 4L * row, sum(even.add(odd)));
        }
    }

    /**
     * Of a block of vectors of 16 lanes, the lower halves of its bytes are the even and the upper ones the odd; of shorter
     * vectors, both halves are walked through in turn, which is the order in which the numbers lie once they are widened.
     */
    private static void q4(long w, long stride, long x, int columns, long y, int rows) {
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
            put(y + 4L * row, sum(even.add(odd)));
        }
    }
}
