package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.BYTES;
import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.put;

import java.lang.foreign.MemorySegment;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.ScanArguments;

/**
 * What the forward and the backward scan do alike to one block of channels: bring its inputs to full vectors, transpose
 * its matrices so that channels are lanes.
 */
final class ScanBlock {
    private ScanBlock() {}

    /**
     * Where {@code steps} rows of {@code width} channels can be read as full vectors, {@link #stride} bytes apart: the
     * rows themselves where the block is whole, otherwise a copy in {@code staging}, zeros beyond {@code width}.
     */
    static long source(Rows rows, int item, int start, int steps, int channel, int width, long staging) {
        long address = ScanLayout.address(rows, item, start, channel);
        if (isDirect(rows, width)) {
            return address;
        }
        Lanes.clear(staging, (long) steps * Lanes.COUNT);
        Lanes.copy(address, ScanLayout.stride(rows), staging, BYTES, steps, width);
        return staging;
    }

    /** Where {@code rows} rows of {@code width} channels can be written as full vectors: there, or in {@code staging}, also if absent. */
    static long target(Rows rows, int item, int start, int channel, int width, long staging) {
        return isDirect(rows, width) ? ScanLayout.address(rows, item, start, channel) : staging;
    }

    private static boolean isDirect(Rows rows, int width) {
        return width == Lanes.COUNT && rows.isPresent();
    }

    /** Takes what was written to {@link #target} to where it belongs. */
    static void deliver(Rows rows, int item, int start, int steps, int channel, int width, long staging) {
        if (rows.isPresent() && !isDirect(rows, width)) {
            long address = ScanLayout.address(rows, item, start, channel);
            Lanes.copy(staging, BYTES, address, ScanLayout.stride(rows), steps, width);
        }
    }

    /** Bytes from one step to the next of {@link #source} and {@link #target}. */
    static long stride(Rows rows, int width) {
        return isDirect(rows, width) ? ScanLayout.stride(rows) : BYTES;
    }

    /** {@code width} floats of {@code memory} from {@code index} as a vector, zeros beyond; zeros if it is absent. */
    static void toVector(MemorySegment memory, int index, int width, long to) {
        for (int i = 0; i < Lanes.COUNT; i++) {
            boolean exists = i < width && memory.byteSize() > 0;
            put(to + 4L * i, exists ? get(memory.address() + 4L * (index + i)) : 0);
        }
    }

    /** Copies B of a chunk to the first half of {@code bc} and C to the second. */
    static void matrices(ScanArguments s, int item, int start, int steps, float[] bc) {
        int states = s.states();
        Lanes.copy(ScanLayout.address(s.b(), item, start, 0), ScanLayout.stride(s.b()), bc, 0, steps, states);
        Lanes.copy(
                ScanLayout.address(s.c(), item, start, 0),
                ScanLayout.stride(s.c()),
                bc,
                ScanLayout.CHUNK * states,
                steps,
                states);
    }

    /** Channels × states in memory to states × lanes, times {@code factor}; zeros if {@code address} is 0. */
    static void toLanes(long address, int width, int states, float factor, long to) {
        for (int n = 0; n < states; n++) {
            for (int lane = 0; lane < Lanes.COUNT; lane++) {
                boolean exists = address != 0 && lane < width;
                put(
                        to + n * (long) BYTES + 4L * lane,
                        exists ? factor * get(address + 4L * ((long) lane * states + n)) : 0);
            }
        }
    }

    /** States × lanes to channels × states in memory. */
    static void fromLanes(long from, int width, int states, long address) {
        for (int lane = 0; lane < width; lane++) {
            for (int n = 0; n < states; n++) {
                put(address + 4L * ((long) lane * states + n), get(from + n * (long) BYTES + 4L * lane));
            }
        }
    }

    /** Address of the block's state in {@code states}, or 0 if that is absent. */
    static long stateAddress(MemorySegment states, long offset) {
        return states.byteSize() == 0 ? 0 : states.address() + offset;
    }
}
