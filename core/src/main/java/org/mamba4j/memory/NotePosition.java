package org.mamba4j.memory;

/**
 * How a saved state, whose tensors are float32, holds the position of a note exactly: as two floats, position = high ·
 * 2²⁰ + low. Both are {@link #NONE} in a place without a note.
 */
public final class NotePosition {
    /** Stands where there is no note. */
    public static final float NONE = -1;

    private static final int LOW_BITS = 20;
    private static final long LOW = (1L << LOW_BITS) - 1;

    private NotePosition() {}

    /** The first of the two floats of {@code position}, which is not negative. */
    public static float high(long position) {
        return position >> LOW_BITS;
    }

    /** The second of them. */
    public static float low(long position) {
        return position & LOW;
    }

    /** The position of which these are the floats. */
    public static long of(float high, float low) {
        return ((long) high << LOW_BITS) + (long) low;
    }
}
