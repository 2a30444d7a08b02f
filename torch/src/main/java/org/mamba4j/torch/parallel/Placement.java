package org.mamba4j.torch.parallel;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;

/**
 * The place of one process in a job of several: its environment variables are those that torchrun sets, so any launcher
 * that knows them can start the ranks.
 *
 * @param rank from 0
 * @param size ranks of the job
 * @param localSize ranks on this host
 * @param host where rank 0 listens
 * @param port on which it does, from 1
 */
public record Placement(int rank, int size, int localSize, String host, int port) {
    private static final String RANK = "RANK";
    private static final String SIZE = "WORLD_SIZE";
    private static final String LOCAL_SIZE = "LOCAL_WORLD_SIZE";
    private static final String HOST = "MASTER_ADDR";
    private static final String PORT = "MASTER_PORT";

    /** @throws UserError if a number is out of its range */
    public Placement {
        if (size < 1 || rank < 0 || rank >= size) {
            throw new UserError("rank " + rank + " of " + size + " ranks: ranks count from 0, and there is at least one"
                    + " (--rank and --world-size, or " + RANK + " and " + SIZE + ")");
        }
        if (localSize < 1 || localSize > size) {
            throw new UserError(localSize + " of " + size + " ranks on this host: give --nproc between 1 and the"
                    + " --world-size");
        }
        if (host.isEmpty() || port < 1 || port > 65535) {
            throw new UserError("rank 0 is to listen on '" + host + "', port " + port + ": give --master HOST:PORT, or "
                    + HOST + " and " + PORT);
        }
    }

    /**
     * What the environment says; empty where it names no job of several ranks.
     *
     * @throws UserError if a variable is missing or no number
     */
    public static Optional<Placement> of(Map<String, String> environment) {
        if (!environment.containsKey(RANK) || !environment.containsKey(SIZE)) {
            return Optional.empty();
        }
        int size = number(environment, SIZE, "");
        if (size == 1) {
            return Optional.empty();
        }
        return Optional.of(new Placement(
                number(environment, RANK, ""),
                size,
                number(environment, LOCAL_SIZE, "1"),
                environment.getOrDefault(HOST, ""),
                number(environment, PORT, "0")));
    }

    private static int number(Map<String, String> environment, String name, String byDefault) {
        @Nullable String value = environment.get(name);
        String text = value == null ? byDefault : value;
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException e) {
            throw new UserError("environment variable " + name + " is '" + text + "', not a number", e);
        }
    }

    /** The variables that {@link #of} reads. */
    Map<String, String> environment(int local) {
        Map<String, String> all = new LinkedHashMap<>();
        all.put(RANK, Integer.toString(rank));
        all.put(SIZE, Integer.toString(size));
        all.put("LOCAL_RANK", Integer.toString(local));
        all.put(LOCAL_SIZE, Integer.toString(localSize));
        all.put(HOST, host);
        all.put(PORT, Integer.toString(port));
        return all;
    }

    /** The same job's rank {@code other}. */
    Placement withRank(int other) {
        return new Placement(other, size, localSize, host, port);
    }
}
