package org.mamba4j.torch.parallel;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Starts the ranks of this host as processes of their own and watches over them: when one is lost, the others, which can
 * only wait for it, are ended at once, and one line says what happened.
 *
 * <p>The ranks run the same command as this process, with its flags and class path; their {@link Placement} is in their
 * environment. Rank 0 has this process's output; of the others only what they print to standard error before they fail is
 * ever shown. They do not outlive this process: each reads its standard input, which ends when this process does, by
 * whatever way. Ctrl-C reaches all of them, and each saves what it would save alone.
 */
public final class Supervisor {
    /** How an orderly end looks: done, or stopped by SIGINT or SIGTERM. */
    private static final List<Integer> ORDERLY = List.of(0, 128 + 2, 128 + 15);

    private static final int USER_ERROR = 2;
    private static final int FAILURE = 1;
    private static final long GLANCE_MILLIS = 100;

    /** Rank 0 gets so long to tell the user itself what all ranks have stumbled over. */
    private static final long RANK_0_SPEAKS_MILLIS = 3_000;

    /** All ranks leave together; one that stays so much longer than another hangs. */
    private static final long FAREWELL_MILLIS = 60_000;

    private final Job job;
    private final Consumer<String> complain;
    private final Map<Integer, Child> children = new LinkedHashMap<>();
    private final BlockingQueue<Integer> ended = new LinkedBlockingQueue<>();

    /**
     * What is to be run.
     *
     * @param mainClass with a {@code main}
     * @param arguments of it
     * @param first the first rank of this host; its others follow
     * @param gpus values of CUDA_VISIBLE_DEVICES, one for each rank of this host; none where it computes on CPUs
     */
    public record Job(String mainClass, List<String> arguments, Placement first, List<String> gpus) {}

    /** A rank's process, and the last it has printed to standard error. */
    private static final class Child {
        private final Process process;
        private final CompletableFuture<Void> end;
        private @Nullable Thread reader;
        private volatile String lastLine = "";

        Child(Process process, Runnable atItsEnd) {
            this.process = process;
            this.end = process.onExit().thenRun(atItsEnd);
        }

        void listen() {
            reader = Thread.ofVirtual().start(() -> {
                try (BufferedReader lines =
                        new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8))) {
                    for (@Nullable String line = lines.readLine(); line != null; line = lines.readLine()) {
                        if (!line.isBlank()) {
                            lastLine = line.strip();
                        }
                    }
                } catch (IOException e) {
                    // It has ended.
                }
            });
        }

        /** What a rank that failed has said. */
        String lastWords() throws InterruptedException {
            if (reader != null) {
                reader.join(1_000);
            }
            return lastLine.replaceFirst("^mamba4j: ", "");
        }
    }

    private Supervisor(Job job, Consumer<String> complain) {
        this.job = job;
        this.complain = complain;
    }

    /**
     * Runs the ranks of this host to their end.
     *
     * @param complain gets the line if a rank is lost
     * @return the exit code for this process: 0; 2 if a rank found something that the user can put right; 1 if one was
     *     lost or failed
     */
    public static int run(Job job, Consumer<String> complain) throws IOException, InterruptedException {
        Supervisor supervisor = new Supervisor(job, complain);
        try (StopSignal stop = new StopSignal()) {
            try {
                supervisor.start();
                return supervisor.watch(stop);
            } finally {
                supervisor.kill();
            }
        }
    }

    private void start() throws IOException {
        List<String> command = command();
        for (int local = 0; local < job.first().localSize(); local++) {
            Placement placement = job.first().withRank(job.first().rank() + local);
            boolean speaks = placement.rank() == 0;
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectOutput(speaks ? Redirect.INHERIT : Redirect.DISCARD)
                    .redirectError(speaks ? Redirect.INHERIT : Redirect.PIPE);
            Map<String, String> environment = builder.environment();
            // They are among this process's flags already.
            List.of("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS").forEach(environment::remove);
            environment.putAll(placement.environment(local));
            environment.put(
                    Supervised.VARIABLE, Long.toString(ProcessHandle.current().pid()));
            if (!job.gpus().isEmpty()) {
                environment.put("CUDA_VISIBLE_DEVICES", job.gpus().get(local));
            }
            Child child = new Child(builder.start(), () -> ended.add(placement.rank()));
            if (!speaks) {
                child.listen();
            }
            children.put(placement.rank(), child);
        }
    }

    private List<String> command() {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        for (String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
            if (!flag.startsWith("-agentlib:jdwp")) { // one port, one process
                command.add(flag);
            }
        }
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.add(job.mainClass());
        command.addAll(job.arguments());
        return command;
    }

    private int watch(StopSignal stop) throws InterruptedException {
        boolean told = false;
        long firstEnd = 0;
        int running = children.size();
        int code = 0;
        while (running > 0) {
            if (stop.isRequested() && !told) {
                told = true;
                children.values().forEach(child -> child.process.toHandle().destroy());
            }
            if (firstEnd > 0 && System.nanoTime() - firstEnd > TimeUnit.MILLISECONDS.toNanos(FAREWELL_MILLIS)) {
                return late();
            }
            @Nullable Integer rank = ended.poll(GLANCE_MILLIS, TimeUnit.MILLISECONDS);
            if (rank == null) {
                continue;
            }
            running--;
            firstEnd = firstEnd == 0 ? System.nanoTime() : firstEnd;
            int exit = exitCode(rank);
            if (!ORDERLY.contains(exit)) {
                return lost(rank, exit);
            }
            code = Math.max(code, exit);
        }
        return code;
    }

    private int exitCode(int rank) {
        @Nullable Child child = children.get(rank);
        return child == null || child.process.isAlive() ? 0 : child.process.exitValue();
    }

    private String lastWords(int rank) throws InterruptedException {
        @Nullable Child child = children.get(rank);
        return child == null ? "" : child.lastWords();
    }

    private int lost(int rank, int exit) throws InterruptedException {
        if (exit == USER_ERROR) {
            // Most likely rank 0 has found the same, and tells the user.
            if (rank != 0 && !(endsSoon(0) && exitCode(0) == USER_ERROR)) {
                complain.accept(lastWords(rank));
            }
            return USER_ERROR;
        }
        if (rank == 0 && exit == FAILURE) {
            return FAILURE; // it has said why
        }
        kill();
        String words = lastWords(rank);
        @Nullable Child child = children.get(rank);
        String how = exit > 128 ? "was killed" : "failed";
        complain.accept("rank " + rank + " of " + job.first().size() + " (process "
                + (child == null ? 0 : child.process.pid()) + ") " + how + ", exit code " + exit
                + (words.isEmpty() || exit > 128 ? "" : " (" + words + ")")
                + ": the other ranks were ended; continue from the newest checkpoint with --resume");
        return FAILURE;
    }

    private boolean endsSoon(int rank) throws InterruptedException {
        @Nullable Child child = children.get(rank);
        return child != null && child.process.waitFor(RANK_0_SPEAKS_MILLIS, TimeUnit.MILLISECONDS);
    }

    private int late() {
        List<Integer> late = children.entrySet().stream()
                .filter(entry -> entry.getValue().process.isAlive())
                .map(Map.Entry::getKey)
                .toList();
        complain.accept("ranks " + late + " of " + job.first().size() + " did not end within "
                + FAREWELL_MILLIS / 1000
                + " s of the first that did: they were ended; continue from the newest checkpoint"
                + " with --resume");
        return FAILURE;
    }

    /** Ends what still runs, and waits for it. */
    private void kill() {
        children.values().forEach(child -> child.process.destroyForcibly());
        children.values().forEach(child -> child.end.join());
    }
}
