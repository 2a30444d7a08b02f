package org.mamba4j.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.function.ObjIntConsumer;

/**
 * A value of a GGUF file's metadata, as its bytes: nothing is decoded before it is asked for, as a tokenizer's arrays have
 * hundreds of thousands of texts that most readers of a file do not need.
 *
 * @param type what it is
 * @param element what an array's elements are; the type itself for what is no array
 * @param count elements of an array; 1 for what is no array
 * @param data its elements one after another, as the file has them; a text follows its length in bytes (8 bytes)
 */
public record GgufValue(Type type, Type element, long count, MemorySegment data) {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** The types. */
    public enum Type {
        U8(0, 1),
        I8(1, 1),
        U16(2, 2),
        I16(3, 2),
        U32(4, 4),
        I32(5, 4),
        F32(6, 4),
        BOOL(7, 1),
        /** Of any length, 8 bytes at least. */
        TEXT(8, 0),
        /** Of any length, 12 bytes at least. */
        ARRAY(9, 0),
        U64(10, 8),
        I64(11, 8),
        F64(12, 8);

        private static final List<Type> VALUES = List.of(values());
        private final int code;
        private final int bytes;

        Type(int code, int bytes) {
            this.code = code;
            this.bytes = bytes;
        }

        /** The number that files have for it. */
        int code() {
            return code;
        }

        /** Bytes of a value; 0 if they vary. */
        int bytes() {
            return bytes;
        }

        static Optional<Type> of(int code) {
            return VALUES.stream().filter(type -> type.code == code).findFirst();
        }
    }

    /** An unsigned number of 32 bits, which most of the format's keys are. */
    public static GgufValue of(int value) {
        return scalar(
                Type.U32, ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(0, value));
    }

    public static GgufValue of(float value) {
        return scalar(
                Type.F32, ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(0, value));
    }

    public static GgufValue of(boolean value) {
        return scalar(Type.BOOL, ByteBuffer.allocate(1).put(0, (byte) (value ? 1 : 0)));
    }

    public static GgufValue of(String value) {
        return scalar(Type.TEXT, texts(List.of(value)));
    }

    /** An array of texts. */
    public static GgufValue ofTexts(List<String> values) {
        return new GgufValue(Type.ARRAY, Type.TEXT, values.size(), MemorySegment.ofBuffer(texts(values)));
    }

    /** An array of signed numbers of 32 bits. */
    public static GgufValue ofInts(int[] values) {
        ByteBuffer bytes =
                ByteBuffer.allocate(Math.multiplyExact(4, values.length)).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(values);
        return new GgufValue(Type.ARRAY, Type.I32, values.length, MemorySegment.ofBuffer(bytes));
    }

    private static GgufValue scalar(Type type, ByteBuffer bytes) {
        return new GgufValue(type, type, 1, MemorySegment.ofBuffer(bytes));
    }

    private static ByteBuffer texts(List<String> values) {
        List<byte[]> encoded = values.stream()
                .map(text -> text.getBytes(StandardCharsets.UTF_8))
                .toList();
        int size = encoded.stream().mapToInt(bytes -> 8 + bytes.length).reduce(0, Math::addExact);
        ByteBuffer all = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        encoded.forEach(bytes -> all.putLong(bytes.length).put(bytes));
        return all.flip();
    }

    boolean isInteger() {
        return switch (element) {
            case U8, I8, U16, I16, U32, I32, U64, I64 -> true;
            default -> false;
        };
    }

    /** Element {@code index} of a value of integers; those beyond 63 bits are negative. */
    long integer(long index) {
        return switch (element) {
            case U8 -> data.get(JAVA_BYTE, index) & 0xff;
            case I8 -> data.get(JAVA_BYTE, index);
            case U16 -> data.get(SHORT, 2 * index) & 0xffff;
            case I16 -> data.get(SHORT, 2 * index);
            case U32 -> data.get(INT, 4 * index) & 0xffff_ffffL;
            case I32 -> data.get(INT, 4 * index);
            case U64, I64 -> data.get(LONG, 8 * index);
            default -> throw new IllegalStateException("no integer: " + element);
        };
    }

    /** A fraction; of a float the shortest one that names it, so that 1e-5 stays what it was. */
    double real(long index) {
        return element == Type.F64
                ? data.get(DOUBLE, 8 * index)
                : Double.parseDouble(Float.toString(data.get(FLOAT, 4 * index)));
    }

    boolean bool(long index) {
        return data.get(JAVA_BYTE, index) != 0;
    }

    /** Hands over an array's texts with their places. */
    void texts(ObjIntConsumer<String> sink) {
        long at = 0;
        for (int i = 0; i < count; i++) {
            long length = data.get(LONG, at);
            sink.accept(utf8(data.asSlice(at + 8, length)), i);
            at += 8 + length;
        }
    }

    private static String utf8(MemorySegment bytes) {
        return new String(bytes.toArray(JAVA_BYTE), StandardCharsets.UTF_8);
    }

    /** For people: a value, or an array's first few and their number. */
    @Override
    public String toString() {
        if (type != Type.ARRAY) {
            return element(0);
        }
        StringBuilder text = new StringBuilder().append(count).append(" × ").append(element);
        if (element != Type.TEXT) {
            for (int i = 0; i < Math.min(8, count); i++) {
                text.append(i == 0 ? ": " : ", ").append(element(i));
            }
            text.append(count > 8 ? ", …" : "");
        }
        return text.toString();
    }

    private String element(long index) {
        return switch (element) {
            case TEXT -> utf8(data.asSlice(8));
            case BOOL -> Boolean.toString(bool(index));
            case F32, F64 -> Double.toString(real(index));
            case ARRAY -> "[…]";
            case U64 -> Long.toUnsignedString(integer(index));
            default -> Long.toString(integer(index));
        };
    }
}
