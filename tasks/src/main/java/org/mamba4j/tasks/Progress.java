package org.mamba4j.tasks;

import java.util.function.DoubleConsumer;

/** Counts work that several threads do, and tells its share, which never falls, in turns. */
final class Progress {
    private final double all;
    private final DoubleConsumer listener;
    private double done;

    /** @param all the work, above 0 */
    Progress(double all, DoubleConsumer listener) {
        this.all = all;
        this.listener = listener;
    }

    synchronized void add(double work) {
        done += work;
        listener.accept(Math.min(1, done / all));
    }
}
