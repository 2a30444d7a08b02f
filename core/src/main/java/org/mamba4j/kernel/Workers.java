package org.mamba4j.kernel;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A fixed number of threads that share the tasks of one kernel call with the thread that makes it. Which thread runs which
 * task depends on timing, what a task does must not: then the results do not either.
 *
 * <p>Generating one token takes about a hundred such calls of some 100 µs each, and waking a sleeping thread takes as long
 * as such a call. So a helper that has run out of work looks for more for {@value #SPIN_MICROS} µs before it sleeps, tasks
 * are handed out by one compare-and-swap on a counter, and a call allocates nothing. The helpers serve one call at a
 * time: calls that come meanwhile, from other threads or from inside of a task, are done by the thread that makes
 * them, so that as many threads as call are busy at any time.
 *
 * <p>The threads are daemons, start when first needed and end after a minute without work.
 */
public final class Workers {
    /** The system property that sets the parallelism of {@link #shared()}. */
    public static final String THREADS_PROPERTY = "mamba4j.threads";

    private static final int SPIN_MICROS = 100;
    private static final int LOOKS_PER_CLOCK = 64;
    private static final long IDLE_NANOS = 60_000_000_000L;
    private static final long COUNT_MASK = 0xffff_ffffL;

    private final int parallelism;
    private final Helper[] helpers;
    private final AtomicBoolean busy = new AtomicBoolean();

    /**
     * Upper half: number of the call; lower half: tasks of it that nobody has taken. Taking one is lowering it; that it
     * succeeds proves that the call is still under way, and with it that {@link #task} is its own.
     */
    private final AtomicLong open = new AtomicLong();

    private final AtomicInteger unfinished = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private volatile IntConsumer task = Workers::nothing;

    /**
     * @param parallelism how many threads work on one call at most, the calling one among them
     * @throws IllegalArgumentException if less than 1
     */
    public Workers(int parallelism) {
        if (parallelism < 1) {
            throw new IllegalArgumentException("parallelism is " + parallelism + ", must be at least 1");
        }
        this.parallelism = parallelism;
        this.helpers = new Helper[parallelism - 1];
        for (int i = 0; i < helpers.length; i++) {
            helpers[i] = new Helper(i + 1);
        }
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
        if (tasks <= 1 || helpers.length == 0 || !busy.compareAndSet(false, true)) {
            for (int i = 0; i < tasks; i++) {
                task.accept(i);
            }
            return;
        }
        try {
            share(tasks, task);
        } finally {
            this.task = Workers::nothing; // holds on to nobody's memory
            busy.set(false);
        }
    }

    private static void nothing(int task) {}

    private void share(int tasks, IntConsumer work) {
        failure.set(null);
        unfinished.set(tasks);
        task = work;
        long call = (open.get() & ~COUNT_MASK) + (1L << 32);
        open.set(call | tasks);
        for (int i = 0; i < Math.min(helpers.length, tasks - 1); i++) {
            helpers[i].wake();
        }
        takeAll();
        await();
        Throwable thrown = failure.get();
        if (thrown instanceof RuntimeException exception) {
            throw exception;
        }
        if (thrown instanceof Error error) {
            throw error;
        }
    }

    /** Runs tasks until none is left; whether there was one. */
    private boolean takeAll() {
        boolean any = false;
        long seen = open.get();
        while ((seen & COUNT_MASK) != 0) {
            IntConsumer work = task;
            if (open.compareAndSet(seen, seen - 1)) {
                any = true;
                runOne(work, (int) (seen & COUNT_MASK) - 1);
            }
            seen = open.get();
        }
        return any;
    }

    private void runOne(IntConsumer work, int number) {
        try {
            if (failure.get() == null) {
                work.accept(number);
            }
        } catch (Throwable e) {
            failure.compareAndSet(null, e);
        } finally {
            unfinished.decrementAndGet();
        }
    }

    /**
     * Waits for tasks that others have begun, through interrupts, since they write into memory that the caller may free
     * on return. They are short, so nobody sleeps here.
     */
    @SuppressWarnings(
            "ThreadPriorityCheck") // only the time that is lost where threads outnumber processors depends on it
    private void await() {
        for (int look = 0; unfinished.get() != 0; look++) {
            if (look % LOOKS_PER_CLOCK == LOOKS_PER_CLOCK - 1) {
                Thread.yield(); // whoever has the task may be waiting for this processor
            } else {
                Thread.onSpinWait();
            }
        }
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

    /** One thread, or none while nobody has needed it for long. */
    private final class Helper implements Runnable {
        private static final int ENDED = 0;
        private static final int AWAKE = 1;
        private static final int ASLEEP = 2;

        private final int number;
        private final AtomicInteger state = new AtomicInteger(ENDED);
        private volatile @Nullable Thread thread;

        Helper(int number) {
            this.number = number;
        }

        /** Called by one thread at a time, after there is work to be seen. */
        void wake() {
            int now = state.get();
            if (now == ASLEEP && state.compareAndSet(ASLEEP, AWAKE)) {
                LockSupport.unpark(thread);
            } else if (state.compareAndSet(ENDED, AWAKE)) {
                Thread fresh = new Thread(this, "mamba4j-kernel-" + number);
                fresh.setDaemon(true);
                thread = fresh;
                fresh.start();
            }
        }

        @Override
        public void run() {
            while (true) {
                if (!takeAll() && !lookForWork() && !sleep()) {
                    return;
                }
            }
        }

        private boolean lookForWork() {
            long end = System.nanoTime() + SPIN_MICROS * 1000;
            do {
                for (int look = 0; look < LOOKS_PER_CLOCK; look++) {
                    if ((open.get() & COUNT_MASK) != 0) {
                        return true;
                    }
                    Thread.onSpinWait();
                }
            } while (System.nanoTime() < end);
            return false;
        }

        /** Sleeps until woken; false if that did not happen for so long that the thread is to end. */
        private boolean sleep() {
            state.set(ASLEEP);
            long end = System.nanoTime() + IDLE_NANOS;
            // Work that came before the state was set woke nobody.
            while (state.get() == ASLEEP && (open.get() & COUNT_MASK) == 0) {
                long left = end - System.nanoTime();
                if (left <= 0 && state.compareAndSet(ASLEEP, ENDED)) {
                    return false;
                }
                Thread.interrupted(); // an interrupted thread does not park
                LockSupport.parkNanos(this, left);
            }
            state.set(AWAKE);
            return true;
        }
    }
}
