package org.mamba4j.memory;

import java.util.Arrays;

/**
 * Which of the tokens seen so far a pool of bounded capacity remembers.
 *
 * <p>Tokens are offered in reading order, each with its importance; the ranking keeps at most {@code capacity} of those
 * above the threshold. Under {@link Replacement#PRIORITY} they stand in order of falling importance, equal ones in
 * reading order; under {@link Replacement#FIFO} in reading order. That order is part of the contract: two engines that
 * see the same importances hold the same pool, entry by entry.
 *
 * <p>"The {@code capacity} greatest of a prefix" is an associative operation, so on a parallel machine all prefixes can
 * be had by merging lists pairwise in log2 rounds. On a CPU one pass is better: most tokens lose against the smallest
 * entry and cost one comparison, a winner costs a binary search and a shift inside an array that fits the first-level
 * cache. A pass over L tokens of which M enter the pool costs O(L + M · capacity) at worst.
 *
 * <p>Not thread-safe.
 */
public final class NoteRanking {
    private final Replacement replacement;
    private final float[] importance;
    private final long[] position;
    private int limit;
    private int size;

    /**
     * @param capacity greatest number of notes (P), at least 1
     * @param replacement which note goes when the pool is full
     */
    public NoteRanking(int capacity, Replacement replacement) {
        if (capacity < 1) {
            throw new IllegalArgumentException("pool capacity " + capacity + ": must be at least 1");
        }
        this.replacement = replacement;
        this.importance = new float[capacity];
        this.position = new long[capacity];
        this.limit = capacity;
    }

    /**
     * From now on keeps at most {@code notes}: for a pool that grows while the text goes on. Notes that it gave up before
     * do not come back.
     *
     * @param notes from {@link #size} to {@link #capacity}
     */
    public void limit(int notes) {
        if (notes < Math.max(1, size) || notes > importance.length) {
            throw new IllegalArgumentException(
                    "limit " + notes + " for a pool of capacity " + importance.length + " that holds " + size);
        }
        limit = notes;
    }

    /** Greatest number of notes. */
    public int capacity() {
        return importance.length;
    }

    /** Notes held now. */
    public int size() {
        return size;
    }

    /** Importance of entry {@code i}, in the order that the class comment fixes. */
    public float importance(int i) {
        return importance[checkEntry(i)];
    }

    /** Position in the text of entry {@code i}. */
    public long position(int i) {
        return position[checkEntry(i)];
    }

    /**
     * Offers the token at {@code position}, which must be greater than all positions offered before. A NaN importance is
     * never noted.
     *
     * @param threshold only an importance above it is noted
     * @return the entry's index if the token was kept, or -1
     */
    public int offer(float importance, long position, float threshold) {
        if (!(importance > threshold)) {
            return -1;
        }
        return switch (replacement) {
            case PRIORITY -> insertByImportance(importance, position);
            case FIFO -> append(importance, position);
        };
    }

    /** Forgets all notes. */
    public void clear() {
        size = 0;
    }

    private int insertByImportance(float value, long at) {
        if (size == limit && !(value > importance[size - 1])) {
            return -1;
        }
        int index = placeAfterEqual(value);
        int moved = Math.min(size, limit - 1) - index;
        System.arraycopy(importance, index, importance, index + 1, moved);
        System.arraycopy(position, index, position, index + 1, moved);
        importance[index] = value;
        position[index] = at;
        size = Math.min(size + 1, limit);
        return index;
    }

    /** First index whose importance is smaller than {@code value}. */
    private int placeAfterEqual(float value) {
        int low = 0;
        int high = size;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (importance[middle] >= value) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    private int append(float value, long at) {
        if (size == limit) {
            System.arraycopy(importance, 1, importance, 0, size - 1);
            System.arraycopy(position, 1, position, 0, size - 1);
            size--;
        }
        importance[size] = value;
        position[size] = at;
        return size++;
    }

    private int checkEntry(int i) {
        if (i < 0 || i >= size) {
            throw new IndexOutOfBoundsException("entry " + i + " of a pool that holds " + size);
        }
        return i;
    }

    @Override
    public String toString() {
        return replacement + " " + Arrays.toString(Arrays.copyOf(position, size));
    }
}
