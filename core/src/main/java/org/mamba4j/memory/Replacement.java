package org.mamba4j.memory;

/**
 * Which note a full pool gives up for a new one: the pool keeps the notes taken last, up to {@code newest} of them, and of
 * those before them the most important; of two equally important ones the earlier stays.
 *
 * @param newest places for the newest notes, at least 0; where it is more than a pool holds, there are no others
 */
public record Replacement(int newest) {
    /** The pool keeps the notes of greatest importance. */
    public static final Replacement PRIORITY = new Replacement(0);

    /** The pool keeps the newest notes. */
    public static final Replacement FIFO = new Replacement(Integer.MAX_VALUE);

    /** @throws IllegalArgumentException if {@code newest} is below 0 */
    public Replacement {
        if (newest < 0) {
            throw new IllegalArgumentException(newest + " places for the newest notes");
        }
    }

    /** Whether importance alone decides. */
    public boolean isPriority() {
        return newest == 0;
    }

    /** Whether age alone decides. */
    public boolean isFifo() {
        return newest == Integer.MAX_VALUE;
    }
}
