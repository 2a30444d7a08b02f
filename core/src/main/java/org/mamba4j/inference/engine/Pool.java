package org.mamba4j.inference.engine;

import java.util.ArrayDeque;
import java.util.function.Supplier;

/**
 * Things that are costly to make and used by one thread at a time: as many as were ever in use at once.
 *
 * @param <T> what is lent
 */
final class Pool<T> {
    private final Supplier<T> maker;
    private final ArrayDeque<T> free = new ArrayDeque<>();

    Pool(Supplier<T> maker) {
        this.maker = maker;
    }

    T take() {
        synchronized (free) {
            T one = free.pollLast();
            if (one != null) {
                return one;
            }
        }
        return maker.get();
    }

    void giveBack(T one) {
        synchronized (free) {
            free.addLast(one);
        }
    }
}
