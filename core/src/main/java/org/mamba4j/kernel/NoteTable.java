package org.mamba4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Notes that attention reads: the first {@link #count} rows of a table. Not thread-safe; constant while a kernel runs.
 */
public final class NoteTable {
    private final Rows summaries;
    private final Rows biases;
    private int count;

    /**
     * @param summaries (1, P, s)
     * @param biases what is added to a note's logit (1, 1, P)
     * @throws IllegalArgumentException if the two do not fit each other or their memory
     */
    public NoteTable(Rows summaries, Rows biases) {
        Check check = new Check("notes");
        check.rows("summaries", summaries, 1, summaries.length(), summaries.channels());
        check.rows("biases", biases, 1, 1, summaries.length());
        this.summaries = summaries;
        this.biases = biases;
    }

    /** Notes that there are. */
    public int count() {
        return count;
    }

    /** @param notes from 0 to P */
    public void setCount(int notes) {
        Check.range("notes", 0, notes, summaries.length());
        count = notes;
    }

    /** s. */
    public int width() {
        return summaries.channels();
    }

    /** All places (1, P, s). */
    public Rows summaries() {
        return summaries;
    }

    /** What is added to each logit (1, 1, P). */
    public Rows biases() {
        return biases;
    }

    /** Whether the memory is still there. */
    boolean isAlive() {
        MemorySegment memory = summaries.memory();
        return memory.scope().isAlive() && biases.memory().scope().isAlive();
    }
}
