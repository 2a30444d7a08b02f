package org.mamba4j.cli;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.parallel.Placement;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.parallel.Supervisor;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Options of commands that several processes can run together. */
final class RankOptions {
    private static final String LOOPBACK = "127.0.0.1";

    @Spec(Spec.Target.MIXEE)
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec command;

    @Option(
            names = "--nproc",
            paramLabel = "N",
            description = {
                "Share the work among so many processes of this machine, on a GPU one for each (default: 1).",
                "The result is that of one process, up to rounding."
            })
    private int here = 1;

    @Option(
            names = "--rank",
            paramLabel = "R",
            description = "Over several hosts: number of this host's first process (default: 0).")
    private int first;

    @Option(
            names = "--world-size",
            paramLabel = "W",
            description = "Over several hosts: processes of all of them (default: those of --nproc).")
    private int all;

    @Option(
            names = "--master",
            paramLabel = "HOST:PORT",
            description = "Over several hosts: an address of rank 0's host, the same for all (default: none).")
    private String master = "";

    /** What each rank does. */
    interface Work {
        /** @param ranks of which this process is one */
        void run(Ranks ranks);
    }

    /**
     * Does {@code work}: in this process if it is one rank, by itself or as its environment says; else in processes of
     * their own, while this one waits.
     *
     * @param device as {@link Devices#of} has it
     * @param check is given the number of ranks, before any of them is started
     * @return exit code
     */
    int run(String device, Consumer<Integer> check, Work work) {
        Optional<Placement> placement = Placement.of(System.getenv());
        if (placement.isPresent()) {
            try (Ranks ranks = Ranks.join(placement.get(), device)) {
                work.run(ranks);
                ranks.finish();
            }
            return 0;
        }
        int size = all == 0 ? here : all;
        if (here < 1) {
            throw new UserError("--nproc " + here + ": at least 1 process is needed");
        }
        check.accept(size);
        if (size == 1) {
            work.run(Ranks.alone());
            return 0;
        }
        List<String> gpus = device.equals("cpu") ? List.of() : gpus(device);
        return supervise(new Supervisor.Job(Main.class.getName(), arguments(), placement(size), gpus));
    }

    private static int supervise(Supervisor.Job job) {
        try {
            return Supervisor.run(job, line -> {
                if (Terminal.STDOUT.isInteractive()) {
                    System.out.println(); // below the line that shows progress
                }
                System.err.println("mamba4j: " + line);
            });
        } catch (IOException e) {
            throw new UserError("cannot start another process (" + e.getMessage() + "): give a smaller --nproc", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        }
    }

    private List<String> arguments() {
        CommandSpec root = command;
        while (root.parent() != null) {
            root = root.parent();
        }
        return root.commandLine().getParseResult().originalArgs();
    }

    private Placement placement(int size) {
        if (master.isEmpty()) {
            if (size != here) {
                throw new UserError("--world-size " + size + " with --nproc " + here
                        + ": the processes are on several hosts, so give all of them --master HOST:PORT too");
            }
            return new Placement(0, size, here, LOOPBACK, freePort());
        }
        int colon = master.lastIndexOf(':');
        try {
            return new Placement(
                    first,
                    size,
                    here,
                    master.substring(0, Math.max(0, colon)),
                    Integer.parseInt(master.substring(colon + 1)));
        } catch (NumberFormatException e) {
            throw new UserError("--master " + master + ": give HOST:PORT", e);
        }
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UserError("no port is free on " + LOOPBACK + " (" + e.getMessage() + ")", e);
        }
    }

    /** One for each process: CUDA_VISIBLE_DEVICES, or the first ones. */
    private List<String> gpus(String device) {
        if (!device.equals("cuda")) {
            throw new UserError(
                    "--device " + device + " with --nproc " + here
                            + ": every process gets a GPU of its own, so give --device cuda, and choose with CUDA_VISIBLE_DEVICES");
        }
        int count = Devices.gpus();
        if (here > count) {
            throw new UserError("--nproc " + here + ": there " + (count == 1 ? "is 1 GPU" : "are " + count + " GPUs")
                    + " here, and every process needs one of its own; give --nproc " + Math.max(1, count));
        }
        @Nullable String visible = System.getenv("CUDA_VISIBLE_DEVICES");
        List<String> chosen = new ArrayList<>();
        if (visible != null && !visible.isBlank()) {
            chosen.addAll(
                    Arrays.stream(visible.split(",", -1)).map(String::strip).toList());
        }
        for (int i = chosen.size(); i < count; i++) {
            chosen.add(Integer.toString(i));
        }
        return chosen.subList(0, here);
    }
}
