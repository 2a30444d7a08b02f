package org.mamba4j.kernel.vector;

/**
 * {@link VectorMath} for one number: the same operations in the same order, and so the same bits. That class explains
 * them; the constants of both are here.
 */
final class ScalarMath {
    static final float LOG2_E = 1.442695f;
    static final float LOG2_E_REST = 1.925963e-8f;
    static final float LN_2 = 0.6931472f;
    static final float ROUND = 0x1.8p23f;

    /** Where softplus(x) becomes x, as in PyTorch: the difference is 2e-9. */
    static final float LINEAR = 20;

    static final float E1 = 0.6931472f;
    static final float E2 = 0.24022648f;
    static final float E3 = 0.055503324f;
    static final float E4 = 0.009618437f;
    static final float E5 = 0.0013398874f;
    static final float E6 = 0.00015353362f;
    static final float L0 = 1.0f;
    static final float L1 = -0.49999902f;
    static final float L2 = 0.33329964f;
    static final float L3 = -0.24954134f;
    static final float L4 = 0.19675939f;
    static final float L5 = -0.15305592f;
    static final float L6 = 0.106036544f;
    static final float L7 = -0.05695953f;
    static final float L8 = 0.01985146f;
    static final float L9 = -0.0032440247f;

    private ScalarMath() {}

    /** 2^x. */
    static float exp2(float x) {
        float low = x < -127f ? -127f : x;
        float bounded = 128f < low ? 128f : low;
        float shifted = bounded + ROUND;
        float f = bounded - (shifted - ROUND);
        float p = Math.fma(f, E6, E5);
        p = Math.fma(p, f, E4);
        p = Math.fma(p, f, E3);
        p = Math.fma(p, f, E2);
        p = Math.fma(p, f, E1);
        p = Math.fma(p, f, 1f);
        return Float.intBitsToFloat((Float.floatToRawIntBits(shifted) << 23) + Float.floatToRawIntBits(p));
    }

    /** e^x. */
    static float exp(float x) {
        float product = x * LOG2_E;
        float rest = Math.fma(x, LOG2_E_REST, Math.fma(x, LOG2_E, -product));
        float power = exp2(product);
        return Math.abs(product) < 127f ? Math.fma(power, rest * LN_2, power) : power;
    }

    /** log(1 + e^x). */
    static float softplus(float x) {
        float log = log1p(exp(-Math.abs(x)));
        return x > LINEAR ? x : x > 0 ? x + log : log;
    }

    /** x / (1 + e^-x). */
    static float silu(float x) {
        float w = exp(-Math.abs(x));
        return x * ((x < 0 ? w : 1f) / (w + 1f));
    }

    private static float log1p(float w) {
        float p = Math.fma(w, L9, L8);
        p = Math.fma(p, w, L7);
        p = Math.fma(p, w, L6);
        p = Math.fma(p, w, L5);
        p = Math.fma(p, w, L4);
        p = Math.fma(p, w, L3);
        p = Math.fma(p, w, L2);
        p = Math.fma(p, w, L1);
        p = Math.fma(p, w, L0);
        return p * w;
    }
}
