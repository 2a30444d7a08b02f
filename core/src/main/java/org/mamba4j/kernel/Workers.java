package org.mamba4j.kernel;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A fixed number of threads that share the tasks of one kernel call with the thread that makes it. Which thread runs which
 * task depends on timing, what a task does must not: then the results do not either. Any number of calls may be under way
 * at once. The threads are daemons, start when first needed and end after a minute without work.
 */
public final class Workers {
    /** The system property that sets the parallelism of {@link #shared()}. */
    public static final String THREADS_PROPERTY = "mamba4j.threads";

    private final int parallelism;
    private final ThreadPoolExecutor helpers;

    /**
     * @param parallelism how many threads work on one call at most, the calling one among them
     * @throws IllegalArgumentException if less than 1
     */
    public Workers(int parallelism) {
        if (parallelism < 1) {
            throw new IllegalArgumentException("parallelism is " + parallelism + ", must be at least 1");
        }
        this.parallelism = parallelism;
        int threads = Math.max(1, parallelism - 1);
        AtomicInteger number = new AtomicInteger();
        helpers = new ThreadPoolExecutor(threads, threads, 1, TimeUnit.MINUTES, new LinkedBlockingQueue<>(), task -> {
            Thread thread = new Thread(task, "mamba4j-kernel-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
        helpers.allowCoreThreadTimeOut(true);
    }

    /**
     * The workers that everything uses which was not given others: as many as {@code -Dmamba4j.threads=N} says, by default
     * one per available processor.
     */
    public static Workers shared() {
        return Shared.WORKERS;
    }

    /** How many threads work on one call at most. */
    public int parallelism() {
        return parallelism;
    }

    /**
     * Calls {@code task} once with each number from 0 to {@code tasks - 1} and returns when all are done. If one throws,
     * those not yet begun are left out, and the exception is thrown here.
     */
    public void run(int tasks, IntConsumer task) {
        if (tasks <= 1 || parallelism == 1) {
            for (int i = 0; i < tasks; i++) {
                task.accept(i);
            }
            return;
        }
        Call call = new Call(tasks, task);
        for (int i = 1; i < Math.min(parallelism, tasks); i++) {
            helpers.execute(call);
        }
        call.run();
        call.await();
    }

    private static final class Shared {
        static final Workers WORKERS = create();

        private static Workers create() {
            int threads =
                    Integer.getInteger(THREADS_PROPERTY, Runtime.getRuntime().availableProcessors());
            if (threads < 1) {
                throw new IllegalArgumentException("-D" + THREADS_PROPERTY + "=" + threads + ": must be at least 1");
            }
            return new Workers(threads);
        }
    }

    private static final class Call implements Runnable {
        private final int tasks;
        private final IntConsumer task;
        private final AtomicInteger next = new AtomicInteger();
        // Counts tasks, not threads: nobody waits for a helper that comes too late to find any work.
        private final CountDownLatch open;
        private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

        Call(int tasks, IntConsumer task) {
            this.tasks = tasks;
            this.task = task;
            this.open = new CountDownLatch(tasks);
        }

        @Override
        public void run() {
            for (int i = next.getAndIncrement(); i < tasks; i = next.getAndIncrement()) {
                try {
                    if (failure.get() == null) {
                        task.accept(i);
                    }
                } catch (Throwable e) {
                    failure.compareAndSet(null, e);
                } finally {
                    open.countDown();
                }
            }
        }

        /** Waits through interrupts, since the tasks write into memory that the caller may free on return. */
        void await() {
            boolean interrupted = false;
            while (true) {
                try {
                    open.await();
                    break;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
            Throwable thrown = failure.get();
            if (thrown instanceof RuntimeException exception) {
                throw exception;
            }
            if (thrown instanceof Error error) {
                throw error;
            }
        }
    }
}
