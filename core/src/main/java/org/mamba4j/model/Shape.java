package org.mamba4j.model;

import java.util.Arrays;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Sizes of a tensor's dimensions, outermost first, rows contiguous; () is a scalar. Immutable. */
public final class Shape {
    private final long[] sizes;
    private final long elements;

    private Shape(long[] sizes) {
        this.sizes = sizes;
        boolean empty = false;
        for (long size : sizes) {
            if (size < 0) {
                throw new IllegalArgumentException("negative size in shape " + text(sizes));
            }
            empty |= size == 0;
        }
        long product = empty ? 0 : 1;
        for (long size : sizes) {
            product = empty ? 0 : Math.multiplyExact(product, size);
        }
        this.elements = product;
    }

    /**
     * @param sizes each at least 0
     * @throws IllegalArgumentException if a size is negative
     * @throws ArithmeticException if the number of elements does not fit in 63 bits
     */
    public static Shape of(long... sizes) {
        return new Shape(sizes.clone());
    }

    /** Number of dimensions. */
    public int rank() {
        return sizes.length;
    }

    /** Size of dimension {@code i}, the outermost is 0. */
    public long size(int i) {
        return sizes[i];
    }

    /** Product of all sizes; 1 for a scalar. */
    public long elements() {
        return elements;
    }

    /** A fresh array of the sizes. */
    public long[] toArray() {
        return sizes.clone();
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Shape shape && Arrays.equals(shape.sizes, sizes);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(sizes);
    }

    /** As in the papers: {@code (256, 64)}. */
    @Override
    public String toString() {
        return text(sizes);
    }

    private static String text(long[] sizes) {
        return Arrays.stream(sizes).mapToObj(Long::toString).collect(Collectors.joining(", ", "(", ")"));
    }
}
