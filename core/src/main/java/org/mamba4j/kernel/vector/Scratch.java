package org.mamba4j.kernel.vector;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Memory of a thread for what a task keeps only while it runs. It grows to what the largest task needed (some hundred
 * kilobytes) and stays, so that kernels allocate nothing per call.
 */
final class Scratch {
    private static final ThreadLocal<Scratch> OF_THREAD = ThreadLocal.withInitial(Scratch::new);
    private static final int ALIGNMENT = 64;

    private MemorySegment memory = MemorySegment.NULL;
    private long used;
    private float[] scalars = new float[0];

    private Scratch() {}

    /** The calling thread's scratch, empty, with room for {@code vectors} vectors. */
    static Scratch ofThread(long vectors) {
        Scratch scratch = OF_THREAD.get();
        long bytes = vectors * Lanes.BYTES;
        if (scratch.memory.byteSize() < bytes) {
            scratch.memory = Arena.ofAuto().allocate(bytes, ALIGNMENT);
        }
        scratch.used = 0;
        return scratch;
    }

    /**
     * An array of at least {@code count} floats with arbitrary content, for values that are only read one by one: the
     * compiler needs far less of its budget for an array element than for a float at an address.
     */
    float[] scalars(int count) {
        if (scalars.length < count) {
            scalars = new float[count];
        }
        return scalars;
    }

    /** The address of room for {@code vectors} vectors, with arbitrary content. */
    long take(long vectors) {
        long address = memory.address() + used;
        used += vectors * Lanes.BYTES;
        if (used > memory.byteSize()) {
            throw new AssertionError("scratch of " + memory.byteSize() + " bytes is too small");
        }
        return address;
    }
}
