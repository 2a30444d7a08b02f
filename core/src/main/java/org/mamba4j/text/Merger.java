package org.mamba4j.text;

import java.util.Arrays;

/**
 * Byte pair encoding of one word [1]: of all neighbouring pairs the one learnt earliest (among equals the leftmost) is
 * merged, until no pair is left that was learnt.
 *
 * <p>Short words: the ranks of all pairs stand in an array that is searched anew for every merge, quadratic but without
 * overhead, as words have few bytes. Long ones (a megabyte of one letter is one word): pairs wait in a binary heap by
 * (rank, place), tokens are a linked list, and a pair that has changed since it was put in is passed over when it comes
 * up: n log n. Both make the same merges in the same order.
 *
 * <p>Holds buffers: for one thread.
 *
 * <ol>
 *   <li>R. Sennrich, B. Haddow, A. Birch, Neural Machine Translation of Rare Words with Subword Units, ACL 2016.
 * </ol>
 */
final class Merger {
    static final int SHORT = 48;

    private final MergeTable merges;
    private int[] ids = new int[SHORT];
    private final long[] pairs = new long[SHORT]; // of i and i + 1: rank and merged token
    private int[] next = new int[0];
    private int[] previous = new int[0];
    private long[] heap = new long[0];
    private int heapSize;

    Merger(MergeTable merges) {
        this.merges = merges;
    }

    /** Where to put the word's first tokens, at least {@code n} of them; the result stands there too. */
    int[] buffer(int n) {
        if (ids.length < n) {
            ids = new int[n];
        }
        return ids;
    }

    /**
     * Merges the first {@code n} tokens of {@link #buffer}.
     *
     * @return how many are left, at its beginning
     */
    int merge(int n) {
        return n <= SHORT ? mergeShort(n) : mergeLong(n);
    }

    private int mergeShort(int count) {
        int n = count;
        for (int i = 0; i + 1 < n; i++) {
            pairs[i] = merges.get(ids[i], ids[i + 1]);
        }
        while (n > 1) {
            int best = 0;
            for (int i = 1; i + 1 < n; i++) {
                // Ranks differ when tokens do, so comparing both halves is comparing ranks.
                best = pairs[i] < pairs[best] ? i : best;
            }
            if (pairs[best] == MergeTable.NONE) {
                break;
            }
            ids[best] = (int) pairs[best];
            n--;
            System.arraycopy(ids, best + 2, ids, best + 1, n - best - 1);
            if (best + 1 < n) {
                System.arraycopy(pairs, best + 2, pairs, best + 1, n - best - 2);
                pairs[best] = merges.get(ids[best], ids[best + 1]);
            }
            if (best > 0) {
                pairs[best - 1] = merges.get(ids[best - 1], ids[best]);
            }
        }
        return n;
    }

    int mergeLong(int n) {
        if (next.length < n) {
            next = new int[n];
            previous = new int[n];
            heap = new long[n];
        }
        heapSize = 0;
        for (int i = 0; i < n; i++) {
            next[i] = i + 1 < n ? i + 1 : -1;
            previous[i] = i - 1;
            if (i + 1 < n) {
                offer(i, i + 1);
            }
        }
        while (heapSize > 0) {
            long top = poll();
            int left = (int) top;
            int right = ids[left] < 0 ? -1 : next[left];
            long merge = right < 0 ? MergeTable.NONE : merges.get(ids[left], ids[right]);
            if (merge == MergeTable.NONE || merge >>> 32 != top >>> 32) {
                continue; // one of the two is no longer what it was
            }
            ids[left] = (int) merge;
            ids[right] = -1;
            next[left] = next[right];
            if (next[right] >= 0) {
                previous[next[right]] = left;
                offer(left, next[right]);
            }
            if (previous[left] >= 0) {
                offer(previous[left], left);
            }
        }
        int left = 0;
        for (int i = 0; i >= 0; i = next[i]) {
            ids[left++] = ids[i];
        }
        return left;
    }

    private void offer(int left, int right) {
        long merge = merges.get(ids[left], ids[right]);
        if (merge == MergeTable.NONE) {
            return;
        }
        if (heapSize == heap.length) {
            heap = Arrays.copyOf(heap, 2 * heapSize);
        }
        long entry = (merge & 0xFFFFFFFF00000000L) | left;
        int i = heapSize++;
        while (i > 0 && heap[(i - 1) / 2] > entry) {
            heap[i] = heap[(i - 1) / 2];
            i = (i - 1) / 2;
        }
        heap[i] = entry;
    }

    private long poll() {
        long top = heap[0];
        long last = heap[--heapSize];
        int i = 0;
        while (2 * i + 1 < heapSize) {
            int child = 2 * i + 1;
            child = child + 1 < heapSize && heap[child + 1] < heap[child] ? child + 1 : child;
            if (heap[child] >= last) {
                break;
            }
            heap[i] = heap[child];
            i = child;
        }
        heap[i] = last;
        return top;
    }
}
