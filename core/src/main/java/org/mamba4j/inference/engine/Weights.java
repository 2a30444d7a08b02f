package org.mamba4j.inference.engine;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.DoubleUnaryOperator;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.Shape;

/**
 * A checkpoint's parameters as the kernels take them.
 *
 * @param checkpoint stays open as long as what is taken from it is in use
 * @param arena owns the copies of what is not float32
 */
record Weights(Checkpoint checkpoint, Arena arena) {
    /** A parameter of two dimensions, where it lies; a copy only if it is F64. */
    Matrix matrix(String name) {
        Shape shape = checkpoint.shape(name);
        int rows = size(name, shape.size(0));
        int columns = size(name, shape.elements() / Math.max(1, shape.size(0)));
        return checkpoint.info(name).dtype() == DType.F64
                ? new Matrix(floats(name), WeightFormat.F32, rows, columns)
                : new Matrix(checkpoint.data(name), checkpoint.format(name), rows, columns);
    }

    private static int size(String name, long size) {
        if (size > Integer.MAX_VALUE) {
            throw new UserError("tensor \"" + name + "\" has " + size + " rows or columns, more than can be used");
        }
        return (int) size;
    }

    /** A parameter as floats, where it lies if it is float32. */
    MemorySegment floats(String name) {
        return checkpoint.info(name).dtype() == DType.F32 ? checkpoint.data(name) : mapped(name, value -> value);
    }

    /** Whether the model has such a parameter. */
    boolean has(String name) {
        return checkpoint.has(name);
    }

    /** A parameter as floats, or {@link MemorySegment#NULL} if the model has none. */
    MemorySegment optional(String name) {
        return has(name) ? floats(name) : MemorySegment.NULL;
    }

    /** A parameter that is one number. */
    float scalar(String name) {
        return checkpoint.info(name).dtype().getFloat(checkpoint.data(name), 0);
    }

    /** A (D, N), as it stands in the recurrence's exponent: as it is stored, or -exp of what is. */
    MemorySegment decay(String name) {
        return checkpoint.decay(name).orElseGet(() -> mapped(name, value -> -Math.exp(value)));
    }

    /** {@code function} of each number of a parameter, as float32. */
    MemorySegment mapped(String name, DoubleUnaryOperator function) {
        float[] values = checkpoint.floats(name);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) function.applyAsDouble(values[i]);
        }
        MemorySegment to = arena.allocate((long) Float.BYTES * values.length, JavaState.ALIGNMENT);
        MemorySegment.copy(values, 0, to, ValueLayout.JAVA_FLOAT, 0, values.length);
        return to;
    }
}
