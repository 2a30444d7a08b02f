package org.mamba4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Element types of a tensor in a file, little-endian, in the order in which a file lists them backwards: the widest
 * first, so that every tensor is aligned.
 */
public enum DType {
    BOOL(1, false),
    U8(1, false),
    F16(2, true),
    BF16(2, true),
    I32(4, false),
    F32(4, true),
    F64(8, true),
    I64(8, false);

    private static final List<DType> VALUES = List.of(values());
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int bytes;
    private final boolean floating;

    DType(int bytes, boolean floating) {
        this.bytes = bytes;
        this.floating = floating;
    }

    /** Bytes of one element. */
    public int bytes() {
        return bytes;
    }

    /** Whether it holds fractions: what a parameter may be. */
    public boolean isFloating() {
        return floating;
    }

    /** Whether files may say {@code name}. */
    static boolean isKnown(String name) {
        for (DType type : VALUES) {
            if (type.name().equals(name)) {
                return true;
            }
        }
        return false;
    }

    static String known() {
        return VALUES.stream().map(DType::name).collect(Collectors.joining(", "));
    }

    /** Element {@code index} of {@code data} as a float: rounded to nearest where it is wider; BOOL is 0 or 1. */
    public float getFloat(MemorySegment data, long index) {
        return switch (this) {
            case BOOL -> data.get(ValueLayout.JAVA_BYTE, index) == 0 ? 0 : 1;
            case U8 -> data.get(ValueLayout.JAVA_BYTE, index) & 0xff;
            case F16 -> Float.float16ToFloat(data.get(SHORT, 2 * index));
            case BF16 -> bf16ToFloat(data.get(SHORT, 2 * index));
            case I32 -> data.get(INT, 4 * index);
            case F32 -> data.get(FLOAT, 4 * index);
            case F64 -> (float) data.get(DOUBLE, 8 * index);
            case I64 -> data.get(LONG, 8 * index);
        };
    }

    /**
     * Reads {@code count} elements of {@code data} from element {@code from} on as floats.
     *
     * @throws IndexOutOfBoundsException if they are not all within {@code data} and {@code target}
     */
    public void toFloats(MemorySegment data, long from, float[] target, int offset, int count) {
        if (this == F32) {
            MemorySegment.copy(data, FLOAT, 4 * from, target, offset, count);
            return;
        }
        for (int i = 0; i < count; i++) {
            target[offset + i] = getFloat(data, from + i);
        }
    }

    /**
     * Writes {@code count} floats as elements of this floating type, rounded to nearest, ties to even.
     *
     * @throws IndexOutOfBoundsException if they are not all within {@code source} and {@code data}
     * @throws IllegalArgumentException if this is not a floating type
     */
    public void fromFloats(float[] source, int offset, MemorySegment data, long to, int count) {
        for (int i = 0; i < count; i++) {
            float value = source[offset + i];
            long index = to + i;
            switch (this) {
                case F16 -> data.set(SHORT, 2 * index, Float.floatToFloat16(value));
                case BF16 -> data.set(SHORT, 2 * index, floatToBf16(value));
                case F32 -> data.set(FLOAT, 4 * index, value);
                case F64 -> data.set(DOUBLE, 8 * index, value);
                default -> throw new IllegalArgumentException("floats do not go into " + this);
            }
        }
    }

    /**
     * Element {@code index} as an integer.
     *
     * @throws IllegalArgumentException if this is a floating type
     */
    public long getLong(MemorySegment data, long index) {
        return switch (this) {
            case BOOL -> data.get(ValueLayout.JAVA_BYTE, index) == 0 ? 0 : 1;
            case U8 -> data.get(ValueLayout.JAVA_BYTE, index) & 0xff;
            case I32 -> data.get(INT, 4 * index);
            case I64 -> data.get(LONG, 8 * index);
            default -> throw new IllegalArgumentException(this + " does not hold integers");
        };
    }

    /** The upper half of a float. */
    public static float bf16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** Rounds to the nearest bfloat16, ties to even; a NaN stays one. */
    public static short floatToBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> 16) | 0x40); // quiet: the payload's upper bits could be all zero
        }
        int tie = (bits >>> 16) & 1;
        return (short) ((bits + 0x7fff + tie) >>> 16);
    }
}
