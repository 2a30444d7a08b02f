package org.mamba4j.torch.fidelity;

import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;

/**
 * A call with room to descend. OpenBLAS factorises matrices by recursion with its buffers on the stack, and with several
 * threads it needs more than the one megabyte that a Java thread has: the process would die without a word.
 */
final class LargeStack {
    private static final long BYTES = 64L << 20;

    private LargeStack() {}

    /** What {@code body} returns on a thread of its own, or throws. */
    static <T> T call(Supplier<T> body) {
        FutureTask<T> task = new FutureTask<>(body::get);
        Thread thread = new Thread(null, task, "large stack", BYTES);
        thread.setDaemon(true);
        thread.start();
        try {
            return task.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException failure) {
                throw failure;
            }
            throw new CompletionException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while a system of equations was solved", e);
        }
    }
}
