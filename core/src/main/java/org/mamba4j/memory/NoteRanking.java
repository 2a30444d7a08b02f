package org.mamba4j.memory;

import java.util.Arrays;

/**
 * Which of the tokens seen so far a pool of bounded capacity remembers.
 *
 * <p>Tokens are offered in reading order, each with its importance; the ranking keeps at most {@code capacity} of those
 * above the threshold: the newest, for which {@link Replacement} has places, in reading order, and before them, in order of
 * falling importance, equal ones in reading order, the most important of all older ones. A note is first one of the newest;
 * when it is the oldest of them and another one comes, it competes for the other places. That order is part of the contract:
 * two engines that see the same importances hold the same pool, entry by entry.
 *
 * <p>"The {@code capacity} greatest of a prefix" is an associative operation, so on a parallel machine all prefixes can
 * be had by merging lists pairwise in log2 rounds. On a CPU one pass is better: most tokens lose against the smallest
 * entry and cost one comparison, a winner costs a binary search and a shift inside an array that fits the first-level
 * cache. A pass over L tokens of which M enter the pool costs O(L + M · capacity) at worst.
 *
 * <p>Not thread-safe.
 */
public final class NoteRanking {
    /** Of {@link #promoted}: none of the newest had to go. */
    public static final int NOBODY = -2;

    /** Of {@link #promoted}: it was given up. */
    public static final int NOWHERE = -1;

    private final Replacement replacement;
    private final float[] importance;
    private final long[] position;
    private int limit;
    private int size;
    private int important;
    private int promoted = NOBODY;

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

    /** How many of them are kept for their importance: the first ones; the newest follow. */
    public int important() {
        return important;
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
        promoted = NOBODY;
        if (!(importance > threshold)) {
            return -1;
        }
        if (replacement.isPriority()) {
            int entry = place(importance, position, size, limit);
            size = important;
            return entry;
        }
        if (size - important == placesForTheNewest()) {
            promoteTheOldest();
        }
        this.importance[size] = importance;
        this.position[size] = position;
        return size++;
    }

    private int placesForTheNewest() {
        return Math.min(replacement.newest(), limit);
    }

    /**
     * What the last {@link #offer} did with the oldest of the newest notes, entry {@link #important} before it: the entry that it
     * is now, having moved all behind it by one, {@link #NOWHERE} or {@link #NOBODY}.
     */
    public int promoted() {
        return promoted;
    }

    /** Takes the oldest of the newest notes out of its place, and puts it among the important ones if it is one of them. */
    private void promoteTheOldest() {
        int oldest = important;
        float value = importance[oldest];
        long at = position[oldest];
        int places = limit - placesForTheNewest();
        boolean isRoom = important < places;
        // With room, its own place is where the important ones shift to; without, one of them, or it, is given up.
        promoted = places == 0 ? NOWHERE : place(value, at, important, places);
        if (!isRoom) {
            System.arraycopy(importance, oldest + 1, importance, oldest, size - oldest - 1);
            System.arraycopy(position, oldest + 1, position, oldest, size - oldest - 1);
            size--;
        }
    }

    /**
     * Puts a note among the first {@code count}, which are ordered by importance and may be {@code most}; the entry, or -1 if it
     * is less important than all of them and there is no room. Counts it among the important ones.
     */
    private int place(float value, long at, int count, int most) {
        if (count == most && !(value > importance[count - 1])) {
            return -1;
        }
        int index = placeAfterEqual(value, count);
        int moved = Math.min(count, most - 1) - index;
        System.arraycopy(importance, index, importance, index + 1, moved);
        System.arraycopy(position, index, position, index + 1, moved);
        importance[index] = value;
        position[index] = at;
        important = Math.min(count + 1, most);
        return index;
    }

    /** First index below {@code count} whose importance is smaller than {@code value}. */
    private int placeAfterEqual(float value, int count) {
        int low = 0;
        int high = count;
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

    /** Forgets all notes. */
    public void clear() {
        size = 0;
        important = 0;
        promoted = NOBODY;
    }

    /**
     * Takes over one more note of another ranking, entry by entry in its order, instead of {@link #offer}; the limit of the pool must be set.
     *
     * @param held how many notes the other one has in all
     * @return whether the note can stand there
     */
    public boolean restore(float importance, long position, int held) {
        if (size >= held || held > limit || !(importance > Float.NEGATIVE_INFINITY)) {
            return false;
        }
        int first = Math.max(0, held - placesForTheNewest());
        boolean isImportant = size < first;
        boolean isFirst = size == 0 || size == first;
        if (!isFirst) {
            float before = this.importance[size - 1];
            boolean isLater = position > this.position[size - 1];
            if (isImportant ? before < importance || (before == importance && !isLater) : !isLater) {
                return false;
            }
        }
        this.importance[size] = importance;
        this.position[size] = position;
        size++;
        important = Math.min(size, first);
        return true;
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
