package org.mamba4j.torch.kernel;

/**
 * Whole sequences cut into chunks.
 *
 * @param batch sequences (B)
 * @param length tokens of each (L)
 * @param chunk tokens of a chunk (W)
 */
public record NoteGrid(int batch, int length, int chunk) {
    /** Chunks of a sequence, the last perhaps not complete (C). */
    int chunks() {
        return Math.ceilDiv(length, chunk);
    }

    /** Blocks of kernels that it takes to go over as many candidates as a sequence has tokens. */
    int tiles() {
        return Math.ceilDiv(length, NoteIntervals.TILE);
    }

    /** Tokens of all sequences (M). */
    long tokens() {
        return (long) batch * length;
    }
}
