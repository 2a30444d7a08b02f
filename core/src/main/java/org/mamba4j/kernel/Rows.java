package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A float32 array of shape (B, L, C) somewhere in native memory, with its last dimension contiguous: a whole tensor, or
 * a few columns or steps of one, never a copy. All counts, the offset and the strides are in floats, not bytes.
 *
 * @param memory native memory in the machine's byte order; any alignment
 * @param offset where element (0, 0, 0) lies
 * @param batch B
 * @param length L
 * @param channels C
 * @param batchStride from (b, t, c) to (b + 1, t, c)
 * @param rowStride from (b, t, c) to (b, t + 1, c)
 */
public record Rows(
        MemorySegment memory, long offset, int batch, int length, int channels, long batchStride, long rowStride) {
    /** No array: an optional input that is not given, an output or a gradient that is not wanted. */
    public static final Rows ABSENT = new Rows(MemorySegment.NULL, 0, 0, 0, 0, 0, 0);

    /** The contiguous array of shape ({@code batch}, {@code length}, {@code channels}) at the start of {@code memory}. */
    public static Rows dense(MemorySegment memory, int batch, int length, int channels) {
        return new Rows(memory, 0, batch, length, channels, (long) length * channels, channels);
    }

    /** Whether there is anything to read or write in a row. */
    public boolean isPresent() {
        return channels > 0;
    }

    /** A view of columns {@code from} to {@code from + count}: (B, L, {@code count}). */
    public Rows columns(int from, int count) {
        Check.range("columns", from, count, channels);
        return new Rows(memory, offset + from, batch, length, count, batchStride, rowStride);
    }

    /** A view of steps {@code from} to {@code from + count}: (B, {@code count}, C). */
    public Rows steps(int from, int count) {
        Check.range("steps", from, count, length);
        return new Rows(memory, offset + from * rowStride, batch, count, channels, batchStride, rowStride);
    }

    /** Whether there is no element at all; the memory of such an array is never touched. */
    boolean isEmpty() {
        return batch == 0 || length == 0 || channels == 0;
    }

    /** Element (b, t, c); for the plain reference, which lets the memory check every access. */
    float get(int b, int t, int c) {
        return memory.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * (offset + b * batchStride + t * rowStride + c));
    }

    void set(int b, int t, int c, double value) {
        memory.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * (offset + b * batchStride + t * rowStride + c), (float) value);
    }

    String shape() {
        return "(" + batch + ", " + length + ", " + channels + ")";
    }
}
