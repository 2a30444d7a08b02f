package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * How L consecutive tokens of a text fall into chunks of W: where the text was cut does not move the chunks' borders.
 *
 * @param batch sequences (B)
 * @param length tokens (L), at least 1
 * @param size tokens of a whole chunk (W)
 * @param start tokens that the sequences read before, the same for all
 */
record Chunks(long batch, int length, int size, long start) {
    /** Place of the first token in its chunk. */
    int offset() {
        return (int) (start % size);
    }

    /** Chunks that hold at least one of the tokens (C). */
    int count() {
        return Math.ceilDiv(offset() + length, size);
    }

    /** Chunks that begin before, among or right after the tokens: {@link #count}, and one more if the last is complete. */
    int boundaries() {
        return (offset() + length) / size + 1;
    }

    /** Tokens before chunk {@code i} of these, those read before included. */
    long begin(int i) {
        return start - offset() + (long) i * size;
    }

    /** Index of the first of the tokens that is in chunk {@code i} of these. */
    int from(int i) {
        return Math.max(0, i * size - offset());
    }

    /** Places of each chunk in {@link #split}: W, but for a single chunk only those that there are. */
    private int width() {
        return count() == 1 ? length : size;
    }

    /** (B, L, n) → (B · C, W, n), with zeros where a chunk has no token. */
    Tensor split(Tensor x) {
        long columns = x.size(2);
        if (count() == 1) {
            return x; // no padding: a single step costs no more than itself
        }
        int after = count() * size - offset() - length;
        Tensor padded = offset() + after == 0
                ? x
                : torch.constant_pad_nd(x, new long[] {0, 0, offset(), after}); // (B, C · W, n)
        return padded.reshape(batch * count(), width(), columns);
    }

    /** The inverse of {@link #split}: (B · C, W, n) → (B, L, n). */
    Tensor join(Tensor x) {
        if (count() == 1) {
            return x;
        }
        return x.reshape(batch, (long) count() * size, x.size(2)).narrow(1, offset(), length);
    }
}
