package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.memory.Replacement;

/**
 * A way to find what a layer's pool holds at the beginning of every chunk, and after the last one where it is complete:
 * K places at each of C' = {@link Chunks#boundaries} points. No gradient flows through it.
 */
@FunctionalInterface
interface NoteSelection {
    /**
     * What can be in the pools: first the notes that they held before, then the tokens of the open chunk so far, then the
     * new tokens.
     *
     * @param rank (B, S) float32: the greater, the more important; -∞ for what is not noted
     * @param held of the S: entries of the pool, in its order
     * @param open of the S: tokens that were read before but whose chunk is not complete
     * @param chunks the new tokens
     */
    record Candidates(Tensor rank, int held, int open, Chunks chunks) {}

    /**
     * The pools.
     *
     * @param index (B, C', K) int64 into the S candidates, in the pool's order; 0 where there is no note
     * @param filled (B, C', K) bool: whether there is one
     */
    record Pools(Tensor index, Tensor filled) {}

    /** @param places K, at least every capacity that occurs and at least 1 */
    Pools select(Candidates candidates, Replacement replacement, Capacity capacity, int places);

    /** How many notes a pool may hold. */
    @FunctionalInterface
    interface Capacity {
        /** When so many tokens have been read; never falls. */
        int after(long tokens);
    }
}
