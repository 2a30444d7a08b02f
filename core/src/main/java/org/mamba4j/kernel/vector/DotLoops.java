package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.LaneSum.sum;
import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.put;
import static org.mamba4j.kernel.vector.Lanes.zero;

import jdk.incubator.vector.FloatVector;

/**
 * The inner loops of {@link Product} over weights as floats. Written out, because the compiler keeps vectors in registers
 * only where they are local variables, and called through an interface, so that each is compiled by itself, as {@link Pass}
 * explains. {@code w} is the first of some rows that lie {@code stride} bytes apart, {@code x} a token of {@code columns}
 * floats, {@code y} where the first result goes.
 *
 * <p>A sum's terms are added in the same order wherever it is taken: lane by lane, vectors in turn to as many sums as
 * {@code chains} says, at last these. {@link RowLoops} has the same order for weights as they are stored.
 */
final class DotLoops {
    private DotLoops() {}

    /**
     * Four rows of floats, four tokens.
     *
     * @param chain which vectors: those whose number leaves the rest {@code chain} when divided by {@code chains}
     * @param sums 16 vectors for each chain, for the sums before their lanes are added: that is another method's work,
     *     since the compiler's budget for this one is spent
     */
    static void tile(long w, long stride, long x, long xStride, int columns, int chain, int chains, float[] sums) {
        int whole = DenseLoops.whole(columns);
        int step = chains * Lanes.COUNT;
        int to = chain * Product.TILE * Product.TILE * Lanes.COUNT;
        long w1 = w + stride;
        long w2 = w + 2 * stride;
        long w3 = w + 3 * stride;
        long x1 = x + xStride;
        long x2 = x + 2 * xStride;
        long x3 = x + 3 * xStride;
        FloatVector zero = zero();
        FloatVector s00 = zero;
        FloatVector s01 = zero;
        FloatVector s02 = zero;
        FloatVector s03 = zero;
        FloatVector s10 = zero;
        FloatVector s11 = zero;
        FloatVector s12 = zero;
        FloatVector s13 = zero;
        FloatVector s20 = zero;
        FloatVector s21 = zero;
        FloatVector s22 = zero;
        FloatVector s23 = zero;
        FloatVector s30 = zero;
        FloatVector s31 = zero;
        FloatVector s32 = zero;
        FloatVector s33 = zero;
        for (int k = chain * Lanes.COUNT; k < whole; k += step) {
            long at = 4L * k;
            FloatVector row0 = load(w + at);
            FloatVector row1 = load(w1 + at);
            FloatVector row2 = load(w2 + at);
            FloatVector row3 = load(w3 + at);
            FloatVector token = load(x + at);
            s00 = row0.fma(token, s00);
            s01 = row1.fma(token, s01);
            s02 = row2.fma(token, s02);
            s03 = row3.fma(token, s03);
            token = load(x1 + at);
            s10 = row0.fma(token, s10);
            s11 = row1.fma(token, s11);
            s12 = row2.fma(token, s12);
            s13 = row3.fma(token, s13);
            token = load(x2 + at);
            s20 = row0.fma(token, s20);
            s21 = row1.fma(token, s21);
            s22 = row2.fma(token, s22);
            s23 = row3.fma(token, s23);
            token = load(x3 + at);
            s30 = row0.fma(token, s30);
            s31 = row1.fma(token, s31);
            s32 = row2.fma(token, s32);
            s33 = row3.fma(token, s33);
        }
        s00.intoArray(sums, to + 0 * Lanes.COUNT);
        s01.intoArray(sums, to + 1 * Lanes.COUNT);
        s02.intoArray(sums, to + 2 * Lanes.COUNT);
        s03.intoArray(sums, to + 3 * Lanes.COUNT);
        s10.intoArray(sums, to + 4 * Lanes.COUNT);
        s11.intoArray(sums, to + 5 * Lanes.COUNT);
        s12.intoArray(sums, to + 6 * Lanes.COUNT);
        s13.intoArray(sums, to + 7 * Lanes.COUNT);
        s20.intoArray(sums, to + 8 * Lanes.COUNT);
        s21.intoArray(sums, to + 9 * Lanes.COUNT);
        s22.intoArray(sums, to + 10 * Lanes.COUNT);
        s23.intoArray(sums, to + 11 * Lanes.COUNT);
        s30.intoArray(sums, to + 12 * Lanes.COUNT);
        s31.intoArray(sums, to + 13 * Lanes.COUNT);
        s32.intoArray(sums, to + 14 * Lanes.COUNT);
        s33.intoArray(sums, to + 15 * Lanes.COUNT);
    }

    /** What {@link #tile} left to do: adds up the lanes, and the columns that fill no vector. */
    static void finish(
            float[] sums, int chains, long w, long stride, long x, long xStride, int columns, long y, long yStride) {
        int whole = DenseLoops.whole(columns);
        for (int token = 0; token < Product.TILE; token++) {
            for (int row = 0; row < Product.TILE; row++) {
                int at = (token * Product.TILE + row) * Lanes.COUNT;
                FloatVector lanes = FloatVector.fromArray(Lanes.FLOATS, sums, at);
                if (chains > 1) {
                    int other = at + Product.TILE * Product.TILE * Lanes.COUNT;
                    lanes = lanes.add(FloatVector.fromArray(Lanes.FLOATS, sums, other));
                }
                float d = sum(lanes);
                for (int k = whole; k < columns; k++) {
                    d += get(w + row * stride + 4L * k) * get(x + token * xStride + 4L * k);
                }
                put(y + token * yStride + 4L * row, d);
            }
        }
    }
}
