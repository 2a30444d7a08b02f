package org.mamba4j.inference.engine;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/** Who works with a model's memory: it is let go once the model is closed and the last pass that is under way has ended. */
final class Users {
    /** Added to {@link #count} when the model is closed. */
    private static final int CLOSED = Integer.MIN_VALUE;

    private final AtomicInteger count = new AtomicInteger();
    private final AtomicBoolean freed = new AtomicBoolean();
    private final Runnable free;

    /** @param free lets the memory go; called once */
    Users(Runnable free) {
        this.free = free;
    }

    /**
     * Begins a pass, which must {@link #leave}.
     *
     * @throws IllegalStateException if the model is closed
     */
    void enter() {
        if (count.incrementAndGet() < 0) {
            leave();
            throw new IllegalStateException("the model is closed");
        }
    }

    void leave() {
        if (count.decrementAndGet() == CLOSED) {
            free();
        }
    }

    /** Lets nobody enter any more. */
    void close() {
        int before = count.getAndUpdate(now -> now < 0 ? now : now + CLOSED);
        if (before == 0) {
            free();
        }
    }

    private void free() {
        if (freed.compareAndSet(false, true)) {
            free.run();
        }
    }
}
