package org.mamba4j.kernel.vector;

import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.ScanArguments;

/**
 * How a scan is cut: channels into blocks of one vector, blocks into slices, steps into chunks. A task is a slice of one
 * batch item. The cut depends on the sizes alone, never on the number of threads, and so do the results.
 */
record ScanLayout(int batch, int length, int channels, int states) {
    /** Steps between two checkpoints: what the backward pass recomputes at a time should stay in the nearer caches. */
    static final int CHUNK = 32;

    /** Channels per slice, so that one step of a slice is some whole cache lines. */
    private static final int SLICE = 128;

    static ScanLayout of(ScanArguments s) {
        return new ScanLayout(s.batch(), s.length(), s.channels(), s.states());
    }

    int blocks() {
        return Lanes.blocks(channels);
    }

    int chunks() {
        return Math.ceilDiv(length, CHUNK);
    }

    int blocksPerSlice() {
        return SLICE / Lanes.COUNT;
    }

    int slices() {
        return Math.ceilDiv(blocks(), blocksPerSlice());
    }

    int tasks() {
        return batch * slices();
    }

    int firstBlock(int slice) {
        return slice * blocksPerSlice();
    }

    int endBlock(int slice) {
        return Math.min(blocks(), (slice + 1) * blocksPerSlice());
    }

    /** How many channels of {@code block} exist. */
    int width(int block) {
        return Math.min(Lanes.COUNT, channels - block * Lanes.COUNT);
    }

    long checkpointBytes() {
        return (long) batch * chunks() * blocks() * states * Lanes.BYTES;
    }

    /** Byte offset of the state of {@code block} before {@code chunk}: states × lanes. */
    long checkpoint(int item, int chunk, int block) {
        return (((long) item * chunks() + chunk) * blocks() + block) * states * Lanes.BYTES;
    }

    /** Byte offset of the state of {@code block} in an array (B, D, N). */
    long state(int item, int block) {
        return 4L * ((long) item * channels + (long) block * Lanes.COUNT) * states;
    }

    /** Whether this is too little work to wake another thread for. */
    boolean isSmall() {
        return (long) batch * length * channels * states < 1 << 17;
    }

    /** Address of element (item, step, channel) of {@code rows}. */
    static long address(Rows rows, int item, int step, int channel) {
        return rows.memory().address()
                + 4 * (rows.offset() + item * rows.batchStride() + step * rows.rowStride() + channel);
    }

    /** Bytes from one step to the next. */
    static long stride(Rows rows) {
        return 4 * rows.rowStride();
    }
}
