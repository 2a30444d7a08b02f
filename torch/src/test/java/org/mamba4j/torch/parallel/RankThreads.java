package org.mamba4j.torch.parallel;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Ranks as threads of this process: they meet and exchange as processes do. */
public final class RankThreads {
    private RankThreads() {}

    /** What one rank does. */
    @FunctionalInterface
    public interface Body<T> {
        T run(Ranks ranks) throws Exception;
    }

    /** A port of this machine that is free now. */
    public static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    /** What {@code body} returns on each of {@code size} ranks. */
    public static <T> List<T> run(int size, Body<T> body) throws Exception {
        int port = freePort();
        try (ExecutorService threads = Executors.newFixedThreadPool(size)) {
            List<Callable<T>> bodies = new ArrayList<>();
            for (int rank = 0; rank < size; rank++) {
                Placement placement = new Placement(rank, size, size, "127.0.0.1", port);
                bodies.add(() -> {
                    try (Ranks ranks = Ranks.join(placement, "cpu")) {
                        T result = body.run(ranks);
                        ranks.sum(); // nobody leaves while another still receives
                        return result;
                    }
                });
            }
            List<T> results = new ArrayList<>();
            for (Future<T> result : threads.invokeAll(bodies)) {
                results.add(result.get());
            }
            return results;
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }
}
