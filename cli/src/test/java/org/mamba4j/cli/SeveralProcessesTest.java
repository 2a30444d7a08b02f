package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.torch.train.Checkpoints;

/** {@code mamba4j train --nproc}: its processes are killed in all ways, and the run ends as if nothing had happened. */
@Timeout(600)
class SeveralProcessesTest {
    private static final int STEPS = 300;

    @TempDir
    Path folder;

    /** A command in a process of its own. */
    private final class Job {
        private final Process process;
        private final Path errors;
        private final BufferedReader out;

        Job(int ranks) throws IOException {
            errors = Files.createTempFile(folder, "errors", "");
            process = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-Xmx512m",
                            "-XX:+UseSerialGC",
                            "--add-modules=jdk.incubator.vector",
                            "--enable-native-access=ALL-UNNAMED",
                            "--sun-misc-unsafe-memory-access=allow",
                            "-cp",
                            System.getProperty("java.class.path"),
                            Main.class.getName(),
                            "train",
                            recipe("run").toString(),
                            "--resume",
                            "--nproc",
                            Integer.toString(ranks))
                    .redirectError(Redirect.to(errors.toFile()))
                    .start();
            out = process.inputReader();
        }

        /** Waits for the next checkpoint; then the processes of all ranks, in their order. */
        List<ProcessHandle> afterCheckpoint() throws IOException {
            List<String> lines = new ArrayList<>();
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                lines.add(line);
                if (line.startsWith("saved ")) {
                    return process.children()
                            .sorted((a, b) -> Long.compare(a.pid(), b.pid()))
                            .toList();
                }
            }
            throw new AssertionError("no checkpoint in " + lines + "; " + Files.readString(errors));
        }

        int exitCode() throws InterruptedException {
            return process.waitFor();
        }

        String errors() throws IOException {
            return Files.readString(errors)
                    .replaceAll("(?m)^(WARNING: Using incubator modules|(NOTE: )?Picked up ).*\\R", "")
                    .strip();
        }
    }

    @Test
    void aRunWhoseProcessesAreKilledEndsLikeOneOfOneProcess() throws Exception {
        Cli whole = Cli.run("train", recipe("whole"));
        assertThat(whole.err()).isEmpty();
        assertThat(whole.code()).isZero();

        Job lost = new Job(2);
        ProcessHandle victim = lost.afterCheckpoint().get(1);
        victim.destroyForcibly();
        long killed = System.nanoTime();
        assertThat(lost.exitCode()).isEqualTo(1);
        assertThat(System.nanoTime() - killed)
                .isLessThan(TimeUnit.SECONDS.toNanos(30)); // Gloo itself waits for minutes;
        assertThat(lost.errors())
                .isEqualTo(
                        "mamba4j: rank 1 of 2 (process " + victim.pid() + ") was killed, exit code 137: the other ranks"
                                + " were ended; continue from the newest checkpoint with --resume");

        Job stopped = new Job(3);
        stopped.afterCheckpoint();
        stopped.process.toHandle().destroy(); // SIGTERM, handled like Ctrl-C
        try (Stream<String> lines = stopped.out.lines()) {
            assertThat(lines.toList()).anyMatch(line -> line.startsWith("stopped as asked: step "));
        }
        assertThat(stopped.exitCode()).isEqualTo(128 + 15);
        assertThat(stopped.errors()).isEmpty();

        Job orphaned = new Job(2);
        List<ProcessHandle> ranks = orphaned.afterCheckpoint();
        orphaned.process.destroyForcibly();
        assertThat(orphaned.exitCode()).isEqualTo(128 + 9);
        for (ProcessHandle rank : ranks) {
            rank.onExit().get(5, TimeUnit.SECONDS);
        }

        assertThat(Checkpoints.of(folder.resolve("run")).list().getLast().step())
                .isBetween(15, STEPS - 1);
        Cli rest = Cli.run("train", recipe("run"), "--resume", "--nproc", 1);
        assertThat(rest.err()).isEmpty();
        assertThat(rest.code()).isZero();
        assertThat(farthest(folder.resolve("run"), folder.resolve("whole"))).isLessThan(2e-3);
    }

    @Test
    void whatCannotBeSharedIsRefusedBeforeAnythingStarts() throws IOException {
        assertRefused("16 ranks would cut a batch of 4 windows into 16", "--nproc", 16);
        assertRefused("--nproc 0: at least 1 process is needed", "--nproc", 0);
        assertRefused("--world-size 4 with --nproc 2", "--nproc", 2, "--world-size", 4);
        assertRefused("--master nowhere: give HOST:PORT", "--nproc", 2, "--master", "nowhere");
        assertRefused("--device cuda:1 with --nproc 2", "--nproc", 2, "--device", "cuda:1");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    private void assertRefused(String why, Object... options) throws IOException {
        List<Object> all = new ArrayList<>(List.of("train", recipe("run")));
        all.addAll(List.of(options));
        Cli refused = Cli.run(all.toArray());
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).startsWith("mamba4j: ").contains(why).hasLineCount(1);
    }

    /** The largest distance between two weights of the same place. */
    private static double farthest(Path run, Path other) {
        double worst = 0;
        try (Checkpoint a = newest(run);
                Checkpoint b = newest(other)) {
            for (var spec : a.config().parameters()) {
                float[] x = a.data(spec.name()).toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED);
                float[] y = b.data(spec.name()).toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED);
                for (int i = 0; i < x.length; i++) {
                    worst = Math.max(worst, Math.abs(x[i] - y[i]));
                }
            }
        }
        System.out.printf("weights differ by up to %.2e%n", worst);
        return worst;
    }

    private static Checkpoint newest(Path run) {
        return Checkpoint.open(Checkpoints.of(run).list().getLast().folder());
    }

    private Path recipe(String run) throws IOException {
        Path text = folder.resolve("text");
        if (!Files.exists(text)) {
            Files.createDirectory(text);
            for (int document = 0; document < 12; document++) {
                Files.writeString(
                        text.resolve(document + ".txt"), ("the cat sat " + document + " a dog ran ").repeat(60));
            }
        }
        return Files.writeString(folder.resolve(run + ".yaml"), """
                out: %s
                seed: 3
                threads: 1
                model: {hidden_size: 16, num_hidden_layers: 2, state_size: 4}
                data: {path: %s, valid_fraction: 0.2, length: 32, batch: 4}
                optimiser: {lr: 1e-3, eps: 1e-5}
                schedule: {steps: %d, warmup_steps: 3}
                evaluation: {every: 100, windows: 8}
                checkpoints: {every: 5, keep: 2}
                metrics: {every: 50, plot: false, tensorboard: false}
                """.formatted(folder.resolve(run), text, STEPS));
    }
}
