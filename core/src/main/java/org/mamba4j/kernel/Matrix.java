package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Weights (rows, columns) somewhere in native memory, a mapped file for example, as they are stored. Validated when built.
 *
 * @param data exactly the bytes of the rows, one after the other; any alignment
 * @param format what a number looks like there
 * @param rows outputs of the product W x
 * @param columns its inputs
 */
public record Matrix(MemorySegment data, WeightFormat format, int rows, int columns) {
    /**
     * @throws IllegalArgumentException if the memory is on the heap or of another size than the shape implies, or rows
     *     are no whole number of blocks
     */
    public Matrix {
        if (rows < 0 || columns < 0) {
            throw new IllegalArgumentException("matrix: negative size in shape (" + rows + ", " + columns + ")");
        }
        if (!format.fits(columns)) {
            throw new IllegalArgumentException(
                    "matrix: rows of " + columns + " numbers are no whole number of " + format + " blocks");
        }
        long bytes = format.bytes((long) rows * columns);
        if (data.byteSize() != bytes || !data.isNative()) {
            throw new IllegalArgumentException("matrix: a " + format + " matrix (" + rows + ", " + columns + ") is "
                    + bytes + " bytes of native memory, not " + data.byteSize()
                    + (data.isNative() ? "" : " on the Java heap"));
        }
    }

    /** Number ({@code row}, {@code column}). */
    public float get(int row, int column) {
        return format.get(data, (long) row * columns + column);
    }

    /** Writes row {@code row} as float32 to row {@code t} of {@code target} (1, L, columns): a look-up in an embedding. */
    public void copyRow(int row, Rows target, int t) {
        for (int column = 0; column < columns; column++) {
            target.set(0, t, column, get(row, column));
        }
    }

    /** Bytes from one row to the next. */
    public long rowBytes() {
        return format.bytes(columns);
    }
}
