package org.mamba4j.checkpoint;

import org.mamba4j.model.Shape;

/**
 * A tensor in a file.
 *
 * @param name its name there
 * @param dtype its elements
 * @param shape its sizes
 * @param offset bytes from the start of the file's data
 */
public record TensorInfo(String name, DType dtype, Shape shape, long offset) {
    /** Bytes of its elements. */
    public long bytes() {
        return shape.elements() * dtype.bytes();
    }

    /** First byte after it. */
    public long end() {
        return offset + bytes();
    }
}
