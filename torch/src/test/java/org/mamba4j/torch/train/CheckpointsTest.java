package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;

class CheckpointsTest {
    @TempDir
    Path run;

    private final List<String> notes = new ArrayList<>();

    @Test
    void keepsTheNewestAndTheBest() {
        Checkpoints checkpoints = Checkpoints.of(run);
        double[] losses = {3.0, 1.0, 2.0, 1.5, Double.NaN};
        for (int i = 0; i < losses.length; i++) {
            checkpoints.save(i + 1, losses[i], 2, folder -> Files.writeString(folder.resolve("a"), "x"));
        }

        assertThat(steps(checkpoints)).containsExactly(2, 4, 5);
        assertThat(checkpoints.best()).get().extracting(Checkpoints.Saved::step).isEqualTo(2);
        assertThat(checkpoints.newestSound(notes::add))
                .get()
                .extracting(Checkpoints.Saved::step)
                .isEqualTo(5);
        assertThat(notes).isEmpty();
    }

    @Test
    void damagedOnesArePassedOverWithOneLineEach() throws IOException {
        Checkpoints checkpoints = Checkpoints.of(run);
        for (int step = 1; step <= 5; step++) {
            save(checkpoints, step);
        }
        Files.writeString(checkpoints.list().get(4).folder().resolve("a"), "tampered");
        Files.delete(checkpoints.list().get(3).folder().resolve("a"));
        Files.writeString(checkpoints.list().get(2).folder().resolve("manifest.json"), "{\"step\":");
        Files.writeString(checkpoints.list().get(1).folder().resolve("a"), "content of 3");

        assertThat(checkpoints.newestSound(notes::add))
                .get()
                .extracting(Checkpoints.Saved::step)
                .isEqualTo(1);
        assertThat(steps(checkpoints)).containsExactly(1);
        assertThat(notes).hasSize(4).allMatch(n -> n.lines().count() == 1 && n.contains("is damaged"));
        assertThat(notes.get(0)).contains("step-000000005").contains("a has 8 bytes, not 12");
        assertThat(notes.get(1)).contains("a is missing");
        assertThat(notes.get(2)).contains("manifest.json is not what was written");
        assertThat(notes.get(3)).contains("a does not have the hash");
    }

    @Test
    void aDamagedOneIsReplacedWhenItsStepIsReachedAgain() throws IOException {
        Checkpoints checkpoints = Checkpoints.of(run);
        save(checkpoints, 1);
        Files.writeString(checkpoints.list().getFirst().folder().resolve("a"), "tampered");

        save(checkpoints, 1);

        assertThat(checkpoints.newestSound(notes::add))
                .get()
                .extracting(Checkpoints.Saved::step)
                .isEqualTo(1);
        assertThat(notes).isEmpty();
    }

    @Test
    void whatAKilledProcessLeftIsNeverLoadedAndIsSwept() throws IOException {
        Checkpoints checkpoints = Checkpoints.of(run);
        save(checkpoints, 1);
        Path half = Files.createDirectories(run.resolve("checkpoints/.saving-2"));
        Files.writeString(half.resolve("a"), "hal");
        Path gone = Files.createDirectories(run.resolve("checkpoints/.deleting-step-000000000"));
        Files.writeString(gone.resolve("a"), "x");

        assertThat(checkpoints.newestSound(notes::add))
                .get()
                .extracting(Checkpoints.Saved::step)
                .isEqualTo(1);
        checkpoints.sweep();

        assertThat(half).doesNotExist();
        assertThat(gone).doesNotExist();
        assertThat(steps(checkpoints)).containsExactly(1);
    }

    @Test
    void aCheckpointWhoseReplacementWasKilledComesBack() throws IOException {
        Checkpoints checkpoints = Checkpoints.of(run);
        save(checkpoints, 1);
        save(checkpoints, 2);
        Path folder = run.resolve("checkpoints");
        Files.move(folder.resolve("step-000000002"), folder.resolve(".deleting-step-000000002"));

        checkpoints.sweep();

        assertThat(steps(checkpoints)).containsExactly(1, 2);
        assertThat(folder.resolve(".deleting-step-000000002")).doesNotExist();
    }

    @Test
    void oneThatCannotBeReadJustNowIsLeftAsItIs() throws IOException {
        Checkpoints checkpoints = Checkpoints.of(run);
        save(checkpoints, 1);
        save(checkpoints, 2);
        Path manifest = checkpoints.list().getLast().folder().resolve("manifest.json");
        Files.delete(manifest);
        Files.createDirectory(manifest); // even the superuser cannot read it

        assertThatThrownBy(() -> checkpoints.newestSound(notes::add))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("step-000000002 cannot be read")
                .hasMessageContaining("nothing was changed");
        assertThat(manifest).exists();
        assertThat(notes).isEmpty();
    }

    @Test
    void whatAKilledWriterLeftIsSwept() throws IOException {
        Path left = Files.writeString(run.resolve(".data.tokens.tmp-123-abc"), "half");
        Path other = Files.writeString(run.resolve("notes.tmp-1"), "of the user");

        RunFolder.open(run).close();

        assertThat(left).doesNotExist();
        assertThat(other).exists();
    }

    @Test
    void aFailedSaveLeavesTheEarlierOnesAndNoRemains() {
        Checkpoints checkpoints = Checkpoints.of(run);
        save(checkpoints, 1);

        assertThatThrownBy(() -> checkpoints.save(2, 1.0, 1, folder -> {
                    Files.writeString(folder.resolve("a"), "x");
                    throw new IOException("No space left on device");
                }))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("step 2")
                .hasMessageContaining("No space left on device")
                .hasMessageContaining("step-000000001")
                .hasMessageContaining("--resume");

        assertThat(run.resolve("checkpoints/.saving-2")).doesNotExist();
        assertThat(checkpoints.newestSound(notes::add))
                .get()
                .extracting(Checkpoints.Saved::step)
                .isEqualTo(1);
    }

    @Test
    void aFullDiskIsOneClearLine() throws IOException {
        Path disk = Files.createDirectories(run.resolve("disk"));
        assumeTrue(SmallDisk.mount(disk, "256k"), SmallDisk.SKIPPED);
        try {
            Checkpoints checkpoints = Checkpoints.of(disk);
            save(checkpoints, 1);

            assertThatThrownBy(() -> checkpoints.save(
                            2, 1.0, 3, folder -> Files.write(folder.resolve("big"), new byte[1 << 20])))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("No space left on device")
                    .hasMessageContaining("step-000000001");

            assertThat(checkpoints.newestSound(notes::add))
                    .get()
                    .extracting(Checkpoints.Saved::step)
                    .isEqualTo(1);
            assertThat(notes).isEmpty();
        } finally {
            SmallDisk.unmount(disk);
        }
    }

    @Test
    void aReadOnlyDiskIsOneClearLine() throws IOException {
        Path disk = Files.createDirectories(run.resolve("disk"));
        assumeTrue(SmallDisk.mount(disk, "256k"), SmallDisk.SKIPPED);
        try {
            Checkpoints checkpoints = Checkpoints.of(disk);
            save(checkpoints, 1);
            assertThat(SmallDisk.remountReadOnly(disk)).isTrue();

            assertThatThrownBy(() -> save(checkpoints, 2))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("Read-only file system");
            assertThatThrownBy(() -> RunFolder.open(disk))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("Read-only file system");
            assertThat(checkpoints.newestSound(notes::add))
                    .get()
                    .extracting(Checkpoints.Saved::step)
                    .isEqualTo(1);
        } finally {
            SmallDisk.unmount(disk);
        }
    }

    @Test
    void twoTrainersDoNotShareAFolder() throws IOException {
        try (RunFolder first = RunFolder.open(run)) {
            assertThatThrownBy(() -> RunFolder.open(first.path()))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("in use by another trainer")
                    .hasMessageContaining("process " + ProcessHandle.current().pid());
        }
        RunFolder.open(run).close();
    }

    @Test
    void aFileInTheWayIsOneClearLine() throws IOException {
        Path file = Files.writeString(run.resolve("file"), "");

        assertThatThrownBy(() -> RunFolder.open(file))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("cannot write to the run folder " + file);
        assertThatThrownBy(() -> RunFolder.open(file.resolve("below")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("cannot write to the run folder");
    }

    private static void save(Checkpoints checkpoints, int step) {
        checkpoints.save(step, 1.0, 9, folder -> Files.writeString(folder.resolve("a"), "content of " + step));
    }

    private static List<Integer> steps(Checkpoints checkpoints) {
        return checkpoints.list().stream().map(Checkpoints.Saved::step).toList();
    }
}
