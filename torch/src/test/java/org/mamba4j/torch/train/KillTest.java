package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.TestSeed;

/**
 * Trainers in processes of their own, killed with {@code kill -9} and continued, against one that was left alone. Each
 * kill costs the start of a virtual machine, so a build makes a few; {@code -Dmamba4j.kills=20} makes the full number.
 */
class KillTest {
    private static final int KILLS = Integer.getInteger("mamba4j.kills", 3);
    private static final int STEPS = 40;

    @TempDir
    Path folder;

    @Test
    void aRunKilledAtAnyMomentEndsWithTheSameBits() throws Exception {
        long seed = TestSeed.of("KillTest");
        Random random = new Random(seed);
        Trainer.train(config("whole"), TrainListener.SILENT);
        config("killed");

        int inSaves = 0;
        List<Integer> killedAt = new ArrayList<>();
        for (int kill = 0; kill < KILLS; kill++) {
            // So that the kills are spread over the whole run, and some hit the start, before any step.
            int steps = random.nextInt(2 * STEPS / (KILLS + 1) + 1);
            // Every other one waits for a save to be under way: they are too short to be hit by chance.
            boolean save = kill % 2 == 1;
            killedAt.add(killAfter(save ? steps + 1 : steps, save, random.nextInt(save ? 4_000_000 : 40_000_000)));
            inSaves += remains() > 0 ? 1 : 0;
        }
        Process last = start();
        List<String> lines = last.inputReader().readAllLines();

        assertThat(last.waitFor()).as(lines::toString).isZero();
        assertThat(lines).contains("finished");
        System.out.printf(
                "%d kills, after steps %s, %d of them while saving (seed %d)%n", KILLS, killedAt, inSaves, seed);
        assertThat(lines).noneMatch(line -> line.contains("damaged"));
        TrainerTest.assertSameRun(folder.resolve("whole"), folder.resolve("killed"));
    }

    @Test
    void aPoliteKillSavesFirst() throws Exception {
        config("killed");
        Process child = start();
        BufferedReader out = child.inputReader();
        List<String> lines = new ArrayList<>();
        for (String line = out.readLine(); line != null; line = out.readLine()) {
            lines.add(line);
            if (line.equals("step 2")) {
                child.toHandle().destroy(); // SIGTERM, handled like Ctrl-C
            }
        }

        assertThat(child.waitFor()).isEqualTo(128 + 15);
        assertThat(lines).contains("stopped");
        int step = Checkpoints.of(folder.resolve("killed")).list().getLast().step();
        assertThat(step).isBetween(2, STEPS - 1);
        assertThat(lines).anyMatch(l -> l.startsWith("note stopped as asked: step " + step + " of " + STEPS));
        assertThat(lines.stream().filter(l -> l.startsWith("step ")).toList())
                .last()
                .isEqualTo("step " + step);
    }

    /** Lets a child run for some steps, until it saves if that is wanted, and a bit; then kills it. */
    private int killAfter(int steps, boolean save, long nanos) throws Exception {
        Process child = start();
        BufferedReader out = child.inputReader();
        int step = -1;
        int seen = 0;
        while (seen < steps) {
            String line = out.readLine();
            if (line == null || line.equals("finished")) {
                break;
            }
            assertThat(line).doesNotStartWith("error");
            if (line.startsWith("step ")) {
                seen++;
                step = Integer.parseInt(line.substring(5));
            }
        }
        while (save && child.isAlive() && remains() == 0) {
            Thread.onSpinWait();
        }
        LockSupport.parkNanos(nanos);
        child.destroyForcibly().waitFor();
        return step;
    }

    private long remains() throws IOException {
        Path checkpoints = folder.resolve("killed/checkpoints");
        if (!Files.exists(checkpoints)) {
            return 0;
        }
        try (var files = Files.list(checkpoints)) {
            return files.filter(p -> p.getFileName().toString().startsWith(".")).count();
        }
    }

    private Process start() throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx512m",
                        "-XX:+UseSerialGC",
                        "--add-modules=jdk.incubator.vector",
                        "--enable-native-access=ALL-UNNAMED",
                        "--sun-misc-unsafe-memory-access=allow",
                        "-cp",
                        System.getProperty("java.class.path"),
                        TrainChild.class.getName(),
                        folder.resolve("tiny.yaml").toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    private TrainConfig config(String run) throws IOException {
        TrainConfig config = TinyRuns.config(
                folder,
                run,
                "schedule.steps=" + STEPS,
                "checkpoints.every=2",
                "evaluation.every=10",
                "evaluation.windows=4");
        Files.writeString(folder.resolve("tiny.yaml"), config.toYaml());
        return config;
    }
}
