package org.mamba4j.torch.bench;

import org.mamba4j.UserError;

/**
 * What an operation is measured on.
 *
 * @param batch sequences
 * @param length steps of each
 * @param channels of each step
 * @param inner states of a channel (scan) or steps of the kernel (convolution)
 */
public record SequenceShape(int batch, int length, int channels, int inner) {
    private static final int MAX_INNER = 256;

    /** @throws UserError if a size is not positive, or {@code inner} above what the kernels take */
    public SequenceShape {
        if (batch < 1 || length < 1 || channels < 1 || inner < 1) {
            throw new UserError("batch " + batch + ", length " + length + ", width " + channels + ", " + inner
                    + " states or taps: each must be at least 1");
        }
        if (inner > MAX_INNER) {
            throw new UserError(inner + " states or taps: at most " + MAX_INNER);
        }
    }

    /** The first {@code steps} steps of it. */
    SequenceShape prefix(int steps) {
        return new SequenceShape(batch, steps, channels, inner);
    }

    /** B L D */
    double activations() {
        return (double) batch * length * channels;
    }

    @Override
    public String toString() {
        return "B" + batch + " D" + channels + " L" + length;
    }
}
