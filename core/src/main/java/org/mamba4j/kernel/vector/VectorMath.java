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
 * Coefficients are our own, from a Remez exchange in exact rational arithmetic.
 */
final class VectorMath {
    static final float LOG2_E = 1.442695f;
    private static final float LOG2_E_REST = 1.925963e-8f;
    static final float LN_2 = 0.6931472f;

    /** Where softplus(x) becomes x, as in PyTorch: the difference is 2e-9. */
    private static final float LINEAR = 20;

    private static final FloatVector ROUND = broadcast(0x1.8p23f);
    private static final FloatVector LOWEST = broadcast(-127f);
    private static final FloatVector HIGHEST = broadcast(128f);
    private static final FloatVector ONE = broadcast(1f);
    private static final FloatVector E1 = broadcast(0.6931472f);
    private static final FloatVector E2 = broadcast(0.24022648f);
    private static final FloatVector E3 = broadcast(0.055503324f);
    private static final FloatVector E4 = broadcast(0.009618437f);
    private static final FloatVector E5 = broadcast(0.0013398874f);
    private static final FloatVector E6 = broadcast(0.00015353362f);

    private static final FloatVector L0 = broadcast(1.0f);
    private static final FloatVector L1 = broadcast(-0.49999902f);
    private static final FloatVector L2 = broadcast(0.33329964f);
    private static final FloatVector L3 = broadcast(-0.24954134f);
    private static final FloatVector L4 = broadcast(0.19675939f);
    private static final FloatVector L5 = broadcast(-0.15305592f);
    private static final FloatVector L6 = broadcast(0.106036544f);
    private static final FloatVector L7 = broadcast(-0.05695953f);
    private static final FloatVector L8 = broadcast(0.01985146f);
    private static final FloatVector L9 = broadcast(-0.0032440247f);

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
        FloatVector rest = x.fma(broadcast(LOG2_E_REST), x.fma(broadcast(LOG2_E), product.neg()));
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
        return log.blend(positive, x.compare(VectorOperators.GT, 0f)).blend(x, x.compare(VectorOperators.GT, LINEAR));
    }

    /** 1 / (1 + e^-x), where {@code w} = e^-|x|. */
    static FloatVector sigmoid(FloatVector x, FloatVector w) {
        return ONE.blend(w, x.compare(VectorOperators.LT, 0f)).div(w.add(1f));
    }
}
