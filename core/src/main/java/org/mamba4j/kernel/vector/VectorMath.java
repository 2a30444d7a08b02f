package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.broadcast;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Elementary functions on vectors of floats.
 *
 * <p>The scan's time is the time of its exponentials, and the library behind {@code lanewise(EXP)} takes a call, so the
 * exponential is written out here, where the compiler can interleave several: 2^x = 2^n · 2^f with n the nearest integer,
 * |f| ≤ 1/2. Adding 1.5 · 2^23 to x rounds it to n and leaves n in the low bits of the sum, and 2^f, a polynomial of
 * degree 6 (minimax with the constant fixed at 1, so that 2^0 = 1; error 2e-9, below the rounding of its
 * evaluation), is multiplied by 2^n through an addition of n to its exponent field. x is first brought between -127 and 128: there
 * the addition gives exactly 0 and exactly infinity, so nothing more needs to be done about under- and overflow; results
 * below 2^-126 are inexact or 0. NaN stays NaN.
 *
 * <p>log1p(w) on 0 ≤ w ≤ 1, all that softplus needs, is w times a polynomial of degree 9 in w (relative error 5e-9).
 * Coefficients are our own, from a Remez exchange in exact rational arithmetic; they stand in {@link ScalarMath}.
 */
final class VectorMath {
    static final float LOG2_E = ScalarMath.LOG2_E;
    static final float LN_2 = ScalarMath.LN_2;

    private static final FloatVector ROUND = broadcast(ScalarMath.ROUND);
    private static final FloatVector LOWEST = broadcast(-127f);
    private static final FloatVector HIGHEST = broadcast(128f);
    private static final FloatVector ONE = broadcast(1f);
    private static final FloatVector E1 = broadcast(ScalarMath.E1);
    private static final FloatVector E2 = broadcast(ScalarMath.E2);
    private static final FloatVector E3 = broadcast(ScalarMath.E3);
    private static final FloatVector E4 = broadcast(ScalarMath.E4);
    private static final FloatVector E5 = broadcast(ScalarMath.E5);
    private static final FloatVector E6 = broadcast(ScalarMath.E6);

    private static final FloatVector L0 = broadcast(ScalarMath.L0);
    private static final FloatVector L1 = broadcast(ScalarMath.L1);
    private static final FloatVector L2 = broadcast(ScalarMath.L2);
    private static final FloatVector L3 = broadcast(ScalarMath.L3);
    private static final FloatVector L4 = broadcast(ScalarMath.L4);
    private static final FloatVector L5 = broadcast(ScalarMath.L5);
    private static final FloatVector L6 = broadcast(ScalarMath.L6);
    private static final FloatVector L7 = broadcast(ScalarMath.L7);
    private static final FloatVector L8 = broadcast(ScalarMath.L8);
    private static final FloatVector L9 = broadcast(ScalarMath.L9);

    private VectorMath() {}

    /** 2^x within 2 units in the last place. */
    static FloatVector exp2(FloatVector x) {
        // Not min and max: Java's rules for them cost more instructions than a comparison and a blend.
        FloatVector low = x.blend(LOWEST, x.lt(LOWEST));
        FloatVector bounded = low.blend(HIGHEST, HIGHEST.lt(low));
        FloatVector shifted = bounded.add(ROUND);
        FloatVector f = bounded.sub(shifted.sub(ROUND));
        FloatVector p =
                f.fma(E6, E5).fma(f, E4).fma(f, E3).fma(f, E2).fma(f, E1).fma(f, ONE);
        return shifted.reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, 23)
                .add(p.reinterpretAsInts())
                .reinterpretAsFloats();
    }

    /**
     * e^x. x · log2(e) in one rounding would lose the last bits of a large x; the second product restores them.
     */
    static FloatVector exp(FloatVector x) {
        FloatVector product = x.mul(LOG2_E);
        // What the rounded product, and the rounded constant, left out; of no use where the product overflowed.
        FloatVector rest = x.fma(broadcast(ScalarMath.LOG2_E_REST), x.fma(broadcast(LOG2_E), product.neg()));
        FloatVector power = exp2(product);
        FloatVector corrected = power.fma(rest.mul(LN_2), power);
        VectorMask<Float> usable = product.abs().compare(VectorOperators.LT, 127f);
        return power.blend(corrected, usable);
    }

    /** log(1 + w) for 0 ≤ w ≤ 1. */
    static FloatVector log1p(FloatVector w) {
        return w.fma(L9, L8)
                .fma(w, L7)
                .fma(w, L6)
                .fma(w, L5)
                .fma(w, L4)
                .fma(w, L3)
                .fma(w, L2)
                .fma(w, L1)
                .fma(w, L0)
                .mul(w);
    }

    /** log(1 + e^x), where {@code w} = e^-|x|. */
    static FloatVector softplus(FloatVector x, FloatVector w) {
        FloatVector log = log1p(w);
        FloatVector positive = x.add(log);
        return log.blend(positive, x.compare(VectorOperators.GT, 0f))
                .blend(x, x.compare(VectorOperators.GT, ScalarMath.LINEAR));
    }

    /** 1 / (1 + e^-x), where {@code w} = e^-|x|. */
    static FloatVector sigmoid(FloatVector x, FloatVector w) {
        return ONE.blend(w, x.compare(VectorOperators.LT, 0f)).div(w.add(1f));
    }
}
