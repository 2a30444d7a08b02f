package org.mamba4j.memory;

/** Which note a full pool gives up for a new one. */
public enum Replacement {
    /** The pool keeps the notes of greatest importance; of two equal ones the earlier stays. */
    PRIORITY,
    /** The pool keeps the newest notes. */
    FIFO
}
