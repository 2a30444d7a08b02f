package org.mamba4j.text;

import java.util.Arrays;

/**
 * Which pairs of neighbouring tokens merge, how early, into what. An open hash table in two arrays: one look-up is
 * mostly one cache line, and a pair is found or known to be absent without an object.
 */
final class MergeTable {
    /** No such merge; greater than every answer of {@link #get}. */
    static final long NONE = Long.MAX_VALUE;

    private static final long EMPTY = -1;

    private final long[] keys;
    private final long[] values;
    private final int shift;

    /** @param capacity number of merges that will be put */
    MergeTable(int capacity) {
        int bits = Math.max(4, 34 - Integer.numberOfLeadingZeros(capacity));
        keys = new long[1 << bits];
        Arrays.fill(keys, EMPTY);
        values = new long[1 << bits];
        shift = 64 - bits;
    }

    /** A merge; a second one for the same pair replaces the first. */
    void put(int left, int right, int rank, int merged) {
        long key = key(left, right);
        int slot = slot(key);
        while (keys[slot] != EMPTY && keys[slot] != key) {
            slot = (slot + 1) & (keys.length - 1);
        }
        keys[slot] = key;
        values[slot] = ((long) rank << 32) | merged;
    }

    /** Rank (upper half; lower merges first) and id of the merged token (lower half), or {@link #NONE}. */
    long get(int left, int right) {
        long key = key(left, right);
        int slot = slot(key);
        while (keys[slot] != key) {
            if (keys[slot] == EMPTY) {
                return NONE;
            }
            slot = (slot + 1) & (keys.length - 1);
        }
        return values[slot];
    }

    private static long key(int left, int right) {
        return ((long) left << 32) | right;
    }

    private int slot(long key) {
        return (int) ((key * 0x9E3779B97F4A7C15L) >>> shift);
    }
}
