package org.mamba4j.text;

import java.util.Arrays;

/** An int[] that grows. */
final class IntList {
    private int[] values;
    private int size;

    IntList(int capacity) {
        values = new int[Math.max(16, capacity)];
    }

    void add(int value) {
        if (size == values.length) {
            grow(1);
        }
        values[size++] = value;
    }

    void addAll(int[] more, int count) {
        if (values.length - size < count) {
            grow(count);
        }
        if (count == 1) {
            values[size] = more[0];
        } else {
            System.arraycopy(more, 0, values, size, count);
        }
        size += count;
    }

    private void grow(int count) {
        values = Arrays.copyOf(values, Math.max(values.length + (values.length >> 1), Math.addExact(size, count)));
    }

    int[] toArray() {
        return Arrays.copyOf(values, size);
    }
}
