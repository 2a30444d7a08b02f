package org.mamba4j.kernel.vector;

import org.mamba4j.kernel.ConvArguments;

/** How a convolution is cut: a task is a few blocks of channels of one batch item, all steps. */
record ConvLayout(int batch, int length, int channels, int width) {
    /** Steps that are worked on at a time, so that all between the passes stays in the first-level cache. */
    static final int CHUNK = 64;

    private static final int SLICE = 128;

    static ConvLayout of(ConvArguments s) {
        return new ConvLayout(s.batch(), s.length(), s.channels(), s.width());
    }

    int slices() {
        return Math.ceilDiv(channels, SLICE);
    }

    int tasks() {
        return batch * slices();
    }

    int firstChannel(int slice) {
        return slice * SLICE;
    }

    int endChannel(int slice) {
        return Math.min(channels, (slice + 1) * SLICE);
    }

    /** Inputs before the current one that a step sees. */
    int kept() {
        return width - 1;
    }

    /** Byte offset of the state of {@code channel} in an array (B, D, K - 1). */
    long state(int item, int channel) {
        return 4L * ((long) item * channels + channel) * kept();
    }

    boolean isSmall() {
        return (long) batch * length * channels * width < 1 << 18;
    }
}
