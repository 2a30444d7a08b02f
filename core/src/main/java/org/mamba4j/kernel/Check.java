package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.Collectors;

/** The validation that every kernel's arguments share: messages name the operation, the argument and both shapes. */
final class Check {
    private final String operation;

    Check(String operation) {
        this.operation = operation;
    }

    static void range(String what, int from, int count, int size) {
        if (from < 0 || count < 0 || count > size - from) {
            throw new IllegalArgumentException(
                    what + " " + from + " to " + ((long) from + count) + " are outside 0 to " + size);
        }
    }

    IllegalArgumentException error(String message) {
        return new IllegalArgumentException(operation + ": " + message);
    }

    void require(boolean condition, String message) {
        if (!condition) {
            throw error(message);
        }
    }

    /** {@code rows} must be given, have shape (batch, length, channels) and lie inside its memory. */
    void rows(String name, Rows rows, int batch, int length, int channels) {
        if (rows.batch() < 0 || rows.length() < 0 || rows.channels() < 0) {
            throw error(name + " has a negative size: " + rows.shape());
        }
        if (rows.batch() != batch || rows.length() != length || rows.channels() != channels) {
            throw error(name + " has shape " + rows.shape() + ", expected (" + batch + ", " + length + ", " + channels
                    + ")");
        }
        if (rows.isEmpty()) {
            return;
        }
        MemorySegment memory = rows.memory();
        usable(name, memory);
        long held = memory.byteSize() / Float.BYTES;
        // Compared piece by piece, because a sum of hostile strides could overflow.
        if (rows.offset() < 0
                || rows.rowStride() < 0
                || rows.batchStride() < 0
                || rows.offset() > held
                || (length > 1 && rows.rowStride() > held / (length - 1))
                || (batch > 1 && rows.batchStride() > held / (batch - 1))
                || (batch - 1) * rows.batchStride() + (length - 1) * rows.rowStride() + channels
                        > held - rows.offset()) {
            throw error(name + " of shape " + rows.shape() + " at offset " + rows.offset() + " with strides ("
                    + rows.batchStride() + ", " + rows.rowStride() + ", 1) does not fit its memory of " + held
                    + " floats");
        }
    }

    /** As {@link #rows}, for an output: writable, and no two of its elements in the same place. */
    void writableRows(String name, Rows rows, int batch, int length, int channels) {
        rows(name, rows, batch, length, channels);
        if (rows.isEmpty()) {
            return;
        }
        writable(name, rows.memory());
        // Either dimension may be the outer one: (B, L, C) or (L, B, C) in memory.
        long inner = Math.min(
                length > 1 ? rows.rowStride() : Long.MAX_VALUE, batch > 1 ? rows.batchStride() : Long.MAX_VALUE);
        boolean disjoint = inner >= channels
                && (length <= 1
                        || batch <= 1
                        || rows.batchStride() >= (length - 1) * rows.rowStride() + channels
                        || rows.rowStride() >= (batch - 1) * rows.batchStride() + channels);
        if (!disjoint) {
            throw error(name + " is an output of shape " + rows.shape() + ", but its strides (" + rows.batchStride()
                    + ", " + rows.rowStride() + ", 1) put several elements into one place");
        }
    }

    /** The same for one dimension, without an array of them. */
    void dense(String name, MemorySegment memory, long count) {
        if (memory.byteSize() != count * Float.BYTES) {
            throw error(name + " holds " + memory.byteSize() + " bytes, expected " + count * Float.BYTES
                    + " for shape (" + count + ")");
        }
        if (count > 0) {
            usable(name, memory);
        }
    }

    /** {@code memory} must be native and hold exactly the floats of {@code dimensions}. */
    void dense(String name, MemorySegment memory, long... dimensions) {
        long floats = 1;
        for (long dimension : dimensions) {
            floats = Math.multiplyExact(floats, dimension);
        }
        if (memory.byteSize() != floats * Float.BYTES) {
            throw error(name + " holds " + memory.byteSize() + " bytes, expected " + floats * Float.BYTES
                    + " for shape "
                    + Arrays.stream(dimensions).mapToObj(Long::toString).collect(Collectors.joining(", ", "(", ")")));
        }
        if (floats > 0) {
            usable(name, memory);
        }
    }

    void writableDense(String name, MemorySegment memory, long... dimensions) {
        dense(name, memory, dimensions);
        writable(name, memory);
    }

    /** Whether an optional dense argument is given: {@link MemorySegment#NULL} and empty memory mean that it is not. */
    static boolean present(MemorySegment memory) {
        return memory.byteSize() > 0;
    }

    private void usable(String name, MemorySegment memory) {
        // Messages are made only where they are needed: kernels check their arguments for every token.
        if (!memory.isNative()) {
            throw error(name + " is on the Java heap; allocate it from an Arena");
        }
        if (memory.address() == 0) {
            throw error(name + " is null memory (address 0)");
        }
        if (!memory.scope().isAlive()) {
            throw error(name + " lies in memory that was already freed");
        }
    }

    private void writable(String name, MemorySegment memory) {
        if (memory.isReadOnly()) {
            throw error(name + " is an output, but its memory is read-only");
        }
    }
}
