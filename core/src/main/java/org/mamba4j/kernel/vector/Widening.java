package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.broadcast;
import static org.mamba4j.kernel.vector.Lanes.put;
import static org.mamba4j.kernel.vector.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import org.mamba4j.kernel.WeightFormat;

/**
 * From narrower formats to floats, exactly.
 *
 * <p>A bfloat16 is the upper half of a float. A half float's exponent and mantissa, moved to where a float has them, are
 * the same number times 2^-112, subnormal or not, so one multiplication corrects it; only infinities and NaN, which have
 * the greatest exponent, need their own.
 */
final class Widening {
    private static final int F16_SHIFT = 13;
    private static final int F16_BITS = 0x8fffe000;
    private static final int F16_GREATEST = 0x0f800000;
    private static final int F32_GREATEST = 0x7f800000;
    private static final float F16_SCALE = 0x1p112f;

    private Widening() {}

    /** Brings {@code count} numbers at {@code from} to floats at {@code to}. */
    @FunctionalInterface
    interface Loop {
        void run(long from, int count, long to);
    }

    /** The loop for {@code format}; floats are only copied. */
    static Loop of(WeightFormat format) {
        return switch (format) {
            case F32 -> Widening::f32;
            case BF16 -> Widening::bf16;
            case F16 -> Widening::f16;
            case Q8 -> Widening::q8;
            case Q4 -> Widening::q4;
        };
    }

    private static void f32(long from, int count, long to) {
        Lanes.copy(from, to, 4L * count);
    }

    /** As many bfloat16 as there are lanes. */
    static FloatVector bf16Vector(long address) {
        return Lanes.shorts(address, VectorOperators.ZERO_EXTEND_S2I)
                .lanewise(VectorOperators.LSHL, 16)
                .reinterpretAsFloats();
    }

    /** As many half floats as there are lanes. */
    static FloatVector f16Vector(long address) {
        IntVector bits = Lanes.shorts(address, VectorOperators.S2I)
                .lanewise(VectorOperators.LSHL, F16_SHIFT)
                .and(F16_BITS); // the sign, which the extension copied, and what is behind the copies
        IntVector scaled = bits.reinterpretAsFloats().mul(F16_SCALE).reinterpretAsInts();
        VectorMask<Integer> special = bits.and(F16_GREATEST).eq(F16_GREATEST);
        return scaled.blend(bits.or(F32_GREATEST), special).reinterpretAsFloats();
    }

    /** One bfloat16. */
    static float bf16(long address) {
        return Float.intBitsToFloat(Lanes.getShort(address) << 16);
    }

    /** One half float. */
    static float f16(long address) {
        return Float.float16ToFloat(Lanes.getShort(address));
    }

    /** {@code count} bfloat16 to floats. */
    static void bf16(long from, int count, long to) {
        int whole = DenseLoops.whole(count);
        for (int i = 0; i < whole; i += Lanes.COUNT) {
            store(bf16Vector(from + 2L * i), to + 4L * i);
        }
        for (int i = whole; i < count; i++) {
            put(to + 4L * i, bf16(from + 2L * i));
        }
    }

    /** {@code count} half floats to floats. */
    static void f16(long from, int count, long to) {
        int whole = DenseLoops.whole(count);
        for (int i = 0; i < whole; i += Lanes.COUNT) {
            store(f16Vector(from + 2L * i), to + 4L * i);
        }
        for (int i = whole; i < count; i++) {
            put(to + 4L * i, f16(from + 2L * i));
        }
    }

    /** {@code count} numbers of Q8, whole blocks, to floats. */
    static void q8(long from, int count, long to) {
        for (int i = 0; i < count; i += WeightFormat.BLOCK) {
            long block = from + (long) i / WeightFormat.BLOCK * 34;
            FloatVector scale = broadcast(f16(block));
            for (int k = 0; k < WeightFormat.BLOCK; k += Lanes.COUNT) {
                store(Lanes.signedBytes(block + 2 + k).mul(scale), to + 4L * (i + k));
            }
        }
    }

    /** {@code count} numbers of Q4, whole blocks, to floats. */
    static void q4(long from, int count, long to) {
        for (int i = 0; i < count; i += WeightFormat.BLOCK) {
            long block = from + (long) i / WeightFormat.BLOCK * 18;
            FloatVector scale = broadcast(f16(block));
            FloatVector offset = scale.mul(-8); // x = d (q - 8), exactly
            for (int k = 0; k < WeightFormat.BLOCK / 2; k += Lanes.COUNT) {
                long low = to + 4L * (i + k);
                store(Lanes.lowHalves(block + 2 + k).fma(scale, offset), low);
                store(Lanes.highHalves(block + 2 + k).fma(scale, offset), low + 64);
            }
        }
    }
}
