package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.text.Tokenizer;

/**
 * What is measured.
 *
 * <p>Texts of an evaluation do not see each other, so several can be read at once, each by a thread with a state of its
 * own. On a GPU one text alone leaves the device waiting for the next call most of the time; on a CPU threads that each
 * read a text wait for each other less than threads that share one. Results do not depend on how many read.
 *
 * @param model stays the caller's to close
 * @param tokenizer the one that the model was trained with
 * @param readers texts that are read at the same time, at least 1
 */
public record Subject(LanguageModel model, Tokenizer tokenizer, int readers) {
    /** @throws IllegalArgumentException if nobody would read */
    public Subject {
        if (readers < 1) {
            throw new IllegalArgumentException(readers + " readers");
        }
    }

    /**
     * Calls {@code task} once with each number from 0 to {@code tasks - 1} and returns when all are done; numbers are taken
     * in order. If one throws, those not yet begun are left out and the exception is thrown here.
     */
    void each(int tasks, IntConsumer task) {
        if (readers == 1 || tasks == 1) {
            for (int i = 0; i < tasks; i++) {
                task.accept(i);
            }
            return;
        }
        AtomicInteger next = new AtomicInteger();
        Runnable reader = () -> {
            try {
                for (int i = next.getAndIncrement(); i < tasks; i = next.getAndIncrement()) {
                    task.accept(i);
                }
            } catch (RuntimeException | Error e) {
                next.set(tasks); // nobody begins another one
                throw e;
            }
        };
        try (ExecutorService threads = Executors.newFixedThreadPool(
                Math.min(readers, tasks),
                Thread.ofPlatform().daemon().name("reader-", 0).factory())) {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < Math.min(readers, tasks); i++) {
                all.add(threads.submit(reader));
            }
            for (Future<?> one : all) {
                await(one);
            }
        }
    }

    private static void await(Future<?> one) {
        try {
            one.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException failure) {
                throw failure;
            }
            throw (Error) e.getCause(); // a Runnable throws nothing else
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while others read", e);
        }
    }
}
