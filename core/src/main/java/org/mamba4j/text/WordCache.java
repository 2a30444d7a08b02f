package org.mamba4j.text;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Words seen before and their ids. Text repeats its words, so nearly all of merging is saved. One slot per hash and the
 * last word wins it: bounded, without order to keep.
 *
 * <p>Shared by threads without locks: an entry is immutable with final fields, so whoever sees a reference sees the
 * whole entry, and an entry lost in a race is only computed again.
 */
final class WordCache {
    /** Longer words are rare and long to compare. */
    static final int MAX_WORD_BYTES = 32;

    private static final int SLOTS = 1 << 16;

    /** One word. */
    @SuppressWarnings("ArrayRecordComponent") // never compared, never leaves the package
    record Entry(byte[] word, int[] ids) {
        boolean is(byte[] utf8, int from, int to) {
            return Arrays.equals(word, 0, word.length, utf8, from, to);
        }
    }

    private final @Nullable Entry[] entries = new @Nullable Entry[SLOTS];

    static int slot(byte[] utf8, int from, int to) {
        int hash = to - from;
        for (int i = from; i < to; i++) {
            hash = hash * 31 + utf8[i];
        }
        return (hash * 0x9E3779B9) >>> 16;
    }

    /** What is in {@code slot}: maybe another word, maybe none. */
    @Nullable
    Entry get(int slot) {
        return entries[slot];
    }

    void put(int slot, Entry entry) {
        entries[slot] = entry;
    }
}
