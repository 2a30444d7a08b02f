package org.mamba4j.torch.parallel;

import java.util.concurrent.CountDownLatch;

/**
 * Ctrl-C and a polite kill: while this is open, the process does not end before the trainer has finished its step and
 * saved.
 *
 * <p>A shutdown hook rather than a signal handler: it is the JDK's public way, works on every platform, and leaves the
 * exit code of the signal. The virtual machine runs it on a thread of its own, while the trainer goes on; it ends when
 * the hook does.
 */
public final class StopSignal implements AutoCloseable {
    private final CountDownLatch done = new CountDownLatch(1);
    private final Thread hook = new Thread(this::await, "mamba4j-stop");
    private volatile boolean requested;

    /** Takes notice from now on. */
    public StopSignal() {
        try {
            Runtime.getRuntime().addShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The process is ending already.
            requested = true;
        }
    }

    private void await() {
        requested = true;
        boolean interrupted = false;
        while (done.getCount() > 0) {
            try {
                done.await();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Ends the session as Ctrl-C does, but for the process. */
    public void request() {
        requested = true;
    }

    /** Whether the process has been asked to end. */
    public boolean isRequested() {
        return requested;
    }

    /** Lets the process end. */
    @Override
    public void close() {
        done.countDown();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // It is running: that is what it was for.
        }
    }
}
