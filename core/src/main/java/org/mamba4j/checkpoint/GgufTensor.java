package org.mamba4j.checkpoint;

import org.mamba4j.model.Shape;

/**
 * A tensor in a GGUF file.
 *
 * @param name its name there
 * @param type its elements
 * @param shape its sizes, outermost first: files list them the other way round
 * @param offset bytes from the start of the file's data
 */
public record GgufTensor(String name, GgmlType type, Shape shape, long offset) {
    /** Bytes of its elements. */
    public long bytes() {
        return type.bytes(shape.elements());
    }
}
