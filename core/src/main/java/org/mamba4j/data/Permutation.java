package org.mamba4j.data;

/**
 * A pseudo-random permutation of 0 … n-1, computed element by element: no memory, any n, the same for the same key.
 *
 * <p>Shuffling 10^9 windows with an array would take 4 GB and a pass before the first batch; and to resume at window
 * number p the array would have to be shuffled again. A block cipher is a permutation that can be evaluated anywhere.
 * A Feistel network turns any mixing function into a permutation of the 2^2k numbers of 2k bits, because each round is
 * invertible whatever the function [1]; four rounds suffice with a good one [2], a hash takes its place here and two
 * rounds more make up for tiny k. Numbers beyond n are encrypted again until one below n comes up ("cycle walking"
 * [3]): that keeps it a permutation of the smaller set, and as 2^2k &lt; 4n, it takes fewer than four tries on average.
 *
 * <p>Not a cipher: the hash is not a secure one. Needed is only that neighbours part and epochs differ.
 *
 * <ol>
 *   <li>H. Feistel, Cryptography and Computer Privacy, Scientific American 228(5), 1973.
 *   <li>M. Luby, C. Rackoff, How to Construct Pseudorandom Permutations from Pseudorandom Functions, SIAM J. Comput.
 *       17(2), 1988.
 *   <li>J. Black, P. Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002.
 * </ol>
 */
final class Permutation {
    private static final int ROUNDS = 6;

    private final long size;
    private final int halfBits;
    private final long mask;
    private final long[] keys = new long[ROUNDS];

    /**
     * @param size n, at least 1
     * @param key every key gives another order
     */
    Permutation(long size, long key) {
        if (size < 1) {
            throw new IllegalArgumentException("size " + size);
        }
        this.size = size;
        int bits = Long.SIZE - Long.numberOfLeadingZeros(size - 1);
        this.halfBits = Math.max(1, (bits + 1) / 2);
        this.mask = (1L << halfBits) - 1;
        for (int r = 0; r < ROUNDS; r++) {
            keys[r] = mix(key + (r + 1) * 0x9E3779B97F4A7C15L);
        }
    }

    /** The element at {@code index}, both in [0, n). */
    long at(long index) {
        java.util.Objects.checkIndex(index, size);
        long x = index;
        do {
            long left = x >>> halfBits;
            long right = x & mask;
            for (long key : keys) {
                long next = left ^ (mix(right ^ key) & mask);
                left = right;
                right = next;
            }
            x = left << halfBits | right;
        } while (x >= size);
        return x;
    }

    /** Spreads every bit over all 64, one to one: the finaliser of SplitMix64. */
    static long mix(long z) {
        long a = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        long b = (a ^ (a >>> 27)) * 0x94D049BB133111EBL;
        return b ^ (b >>> 31);
    }
}
