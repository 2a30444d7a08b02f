package org.mamba4j.torch.parallel;

import java.io.IOException;
import java.util.concurrent.locks.LockSupport;

/** A rank whose process was started by a {@link Supervisor}, as that rank sees it. */
final class Supervised {
    /** Set in the environment of such a process. */
    static final String VARIABLE = "MAMBA4J_SUPERVISED";

    private static final long PATIENCE_NANOS = 20_000_000_000L;

    private Supervised() {}

    private static boolean isSupervised() {
        return System.getenv(VARIABLE) != null;
    }

    /**
     * Ends this process when its supervisor's does, however that ends: the supervisor holds the other end of standard
     * input, and the system closes it.
     */
    static void dieWithSupervisor() {
        if (isSupervised()) {
            Thread.ofPlatform().daemon().name("mamba4j-supervisor").start(() -> {
                try {
                    while (System.in.read() >= 0) {
                        // Nothing is ever said there.
                    }
                } catch (IOException e) {
                    // As good as its end.
                }
                Runtime.getRuntime().halt(1);
            });
        }
    }

    /**
     * {@code failure}, unless the supervisor ends this process first: it knows better what has happened, so it gets the
     * time to.
     */
    static RuntimeException orEnd(RuntimeException failure) {
        long start = System.nanoTime();
        while (isSupervised() && System.nanoTime() - start < PATIENCE_NANOS) {
            LockSupport.parkNanos(PATIENCE_NANOS);
        }
        return failure;
    }
}
