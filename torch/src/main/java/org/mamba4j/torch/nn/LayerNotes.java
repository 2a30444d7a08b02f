package org.mamba4j.torch.nn;

import java.util.Arrays;

/**
 * What the memory of one layer keeps of a sequence. Arrays are not changed once they are in here.
 *
 * @param summaries of the pool's notes (n · s), in the pool's order
 * @param importances of the pool's notes (n)
 * @param positions of the pool's notes (n), in tokens from the beginning of the text
 * @param openSummaries of all tokens of the chunk that is being read (o · s)
 * @param openImportances of the same tokens (o); -∞ for those that are not noted
 * @param tokenTail last inputs of the convolution of the fusion variant conv (3 · d), token by token; else empty
 * @param layerTail the same for reading the layers below
 */
@SuppressWarnings("ArrayRecordComponent") // identity is enough: notes are never compared
record LayerNotes(
        float[] summaries,
        float[] importances,
        long[] positions,
        float[] openSummaries,
        float[] openImportances,
        float[] tokenTail,
        float[] layerTail) {
    /** Of a sequence of which nothing has been read; zeros stand in the tails. */
    static final LayerNotes EMPTY = new LayerNotes(
            new float[0], new float[0], new long[0], new float[0], new float[0], new float[0], new float[0]);

    /** The same with more tokens in the open chunk, which they do not complete. */
    LayerNotes with(float[] moreSummaries, float[] moreImportances) {
        return new LayerNotes(
                summaries,
                importances,
                positions,
                joined(openSummaries, moreSummaries),
                joined(openImportances, moreImportances),
                tokenTail,
                layerTail);
    }

    /** The same with other inputs of the fusion's convolutions. */
    LayerNotes withTails(float[] token, float[] below) {
        return new LayerNotes(summaries, importances, positions, openSummaries, openImportances, token, below);
    }

    static float[] joined(float[] first, float[] second) {
        float[] all = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, all, first.length, second.length);
        return all;
    }

    /** Notes in the pool. */
    int held() {
        return importances.length;
    }

    /** Tokens of the open chunk. */
    int open() {
        return openImportances.length;
    }

    /** Whether nothing is remembered. */
    boolean isEmpty() {
        return held() + open() == 0;
    }
}
