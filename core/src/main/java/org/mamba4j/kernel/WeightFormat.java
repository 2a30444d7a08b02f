package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * How the numbers of a {@link Matrix} lie in memory: little-endian, row after row, at any alignment.
 *
 * <p>The quantised formats have blocks of {@value #BLOCK} numbers of a row that share a scale d, a half float: 8 bits a
 * number, x = d q, or 4 bits, x = d (q - 8). They are laid out as GGUF's Q8_0 and Q4_0 are, so that files of either kind
 * can be used where they lie. A block whose greatest number is below 4e-6 becomes 0, as a half float has no such scale. Of a block of 4 bits, byte i holds number i in its lower half and number i + 16 in its upper.
 */
public enum WeightFormat {
    /** IEEE 754 single precision. */
    F32(1, 4) {
        @Override
        public float get(MemorySegment data, long index) {
            return data.get(FLOAT, 4 * index);
        }
    },
    /** The upper half of a single. */
    BF16(1, 2) {
        @Override
        public float get(MemorySegment data, long index) {
            return Float.intBitsToFloat(data.get(SHORT, 2 * index) << 16);
        }
    },
    /** IEEE 754 half precision. */
    F16(1, 2) {
        @Override
        public float get(MemorySegment data, long index) {
            return half(data, 2 * index);
        }
    },
    /** Blocks of a scale and 32 signed bytes. */
    Q8(WeightFormat.BLOCK, 34) {
        @Override
        public float get(MemorySegment data, long index) {
            long block = index / BLOCK * 34;
            return half(data, block) * data.get(ValueLayout.JAVA_BYTE, block + 2 + index % BLOCK);
        }
    },
    /** Blocks of a scale and 16 bytes of two numbers each. */
    Q4(WeightFormat.BLOCK, 18) {
        @Override
        public float get(MemorySegment data, long index) {
            long block = index / BLOCK * 18;
            int place = (int) (index % BLOCK);
            int both = data.get(ValueLayout.JAVA_BYTE, block + 2 + place % 16);
            return half(data, block) * ((place < 16 ? both & 15 : (both >>> 4) & 15) - 8);
        }
    };

    /** Numbers of a block of the quantised formats. */
    public static final int BLOCK = 32;

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int blockSize;
    private final int blockBytes;

    WeightFormat(int blockSize, int blockBytes) {
        this.blockSize = blockSize;
        this.blockBytes = blockBytes;
    }

    private static float half(MemorySegment data, long at) {
        return Float.float16ToFloat(data.get(SHORT, at));
    }

    /** Whether numbers share a scale, so that they are near those that they were made of, not equal. */
    public boolean isQuantised() {
        return blockSize > 1;
    }

    /** Whether rows of {@code columns} numbers can be stored so: blocks do not reach from one row into the next. */
    public boolean fits(long columns) {
        return columns % blockSize == 0;
    }

    /**
     * Bytes of {@code count} numbers.
     *
     * @throws IllegalArgumentException if they are no whole number of blocks
     */
    public long bytes(long count) {
        if (!fits(count)) {
            throw new IllegalArgumentException(count + " numbers are no whole number of blocks of " + blockSize);
        }
        return Math.multiplyExact(count / blockSize, (long) blockBytes);
    }

    /** Number {@code index} of {@code data}: the definition, for everything that is not to be fast. */
    public abstract float get(MemorySegment data, long index);

    /**
     * Stores numbers, each as near as its block's scale allows; the reverse of {@link #get}.
     *
     * @param values whole rows
     * @param target at least {@link #bytes} of their number
     * @throws IllegalArgumentException if this format is not quantised, or a value is not finite
     */
    public void quantise(float[] values, MemorySegment target) {
        if (!isQuantised()) {
            throw new IllegalArgumentException(this + " is no quantised format");
        }
        for (int block = 0; block < values.length / BLOCK; block++) {
            long at = (long) block * blockBytes;
            int from = block * BLOCK;
            float extreme = extreme(values, from);
            // The greatest number becomes the end of the range that is farther from 0.
            float exact = this == Q8 ? Math.abs(extreme) / 127 : extreme / -8;
            short stored = Float.floatToFloat16(exact);
            float scale = Float.float16ToFloat(stored);
            target.set(SHORT, at, stored);
            if (Float.isInfinite(scale)) {
                throw new IllegalArgumentException("the scale of " + extreme + " is beyond a half float");
            }
            for (int i = 0; i < (this == Q8 ? BLOCK : BLOCK / 2); i++) {
                int bits = this == Q8
                        ? nearest(values[from + i], scale, -127, 127)
                        : (nearest(values[from + i], scale, -8, 7) + 8)
                                | ((nearest(values[from + i + 16], scale, -8, 7) + 8) << 4);
                target.set(ValueLayout.JAVA_BYTE, at + 2 + i, (byte) bits);
            }
        }
    }

    private static float extreme(float[] values, int from) {
        float extreme = 0;
        for (int i = from; i < from + BLOCK; i++) {
            if (!Float.isFinite(values[i])) {
                throw new IllegalArgumentException("a weight is " + values[i]);
            }
            extreme = Math.abs(values[i]) > Math.abs(extreme) ? values[i] : extreme;
        }
        return extreme;
    }

    private static int nearest(float value, float scale, int least, int greatest) {
        return scale == 0 ? 0 : Math.clamp(Math.round(value / scale), least, greatest);
    }
}
