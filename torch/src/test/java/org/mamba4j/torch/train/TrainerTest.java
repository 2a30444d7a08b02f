package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.CourseWindows;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.parallel.Ranks;

class TrainerTest {
    @TempDir
    Path folder;

    @Test
    void learnsAndWritesAllThatItPromises() throws IOException {
        Notes notes = new Notes();
        TrainResult result =
                Trainer.train(TinyRuns.config(folder, "run", "metrics.plot=true", "checkpoints.keep=9"), notes);

        assertThat(result.finished()).isTrue();
        assertThat(result.step()).isEqualTo(24);
        assertThat(result.tokens()).isEqualTo(24 * 2 * 4 * 32);
        // 27 characters at random have 4.8 bits; a model that has learnt nothing says 8.
        assertThat(result.validBitsPerByte()).isLessThan(4.5);
        assertThat(notes.steps).hasSize(24);
        Path run = folder.resolve("run");
        assertThat(run.resolve("config.yaml")).content().contains("seed: 3").contains("# windows that are computed");
        assertThat(TrainConfig.load(run.resolve("config.yaml"), List.of()).toYaml())
                .isEqualTo(Files.readString(run.resolve("config.yaml")));
        assertThat(run.resolve("loss.png")).exists();
        assertThat(run.resolve("tensorboard")).isNotEmptyDirectory();
        assertThat(Metrics.of(run).stream().filter(m -> Double.isFinite(m.get(Metrics.TRAIN_LOSS))))
                .hasSize(12);
        // Steps 5, 6, 10, 12, 15, 18, 20, 24: every evaluation, and one with every checkpoint.
        assertThat(Metrics.of(run).stream().filter(m -> Double.isFinite(m.get(Metrics.VALID_LOSS))))
                .hasSize(8);
        assertThat(Checkpoints.of(run).list().stream().map(Checkpoints.Saved::step))
                .containsExactly(5, 10, 15, 20, 24);
        try (Checkpoint checkpoint = Checkpoint.open(result.lastCheckpoint())) {
            assertThat(checkpoint.config().dModel()).isEqualTo(16);
        }
        assertThat(result.lastCheckpoint().resolve("tokenizer_config.json")).exists();
    }

    @ParameterizedTest
    @ValueSource(strings = {"mamba", "memmamba"})
    void aRunThatBreaksOffAnywhereEndsWithTheSameBits(String family) throws IOException {
        String[] model = family.equals("mamba")
                ? new String[0]
                : new String[] {"model.type=memmamba", "model.memory_chunk_size=8", "model.memory_pool_size=4"};
        Trainer.train(TinyRuns.config(folder, "whole", model), TrainListener.SILENT);

        TrainConfig config = TinyRuns.config(folder, "broken", model);
        // Before the first checkpoint, right after one, between two, with metrics and an evaluation to take back.
        for (int step : new int[] {3, 5, 13, 22}) {
            assertThatThrownBy(() -> Trainer.resume(config, new Breaks(step))).isInstanceOf(Broken.class);
        }
        TrainResult result = Trainer.resume(config, TrainListener.SILENT);

        assertThat(result.finished()).isTrue();
        assertSameRun(folder.resolve("whole"), folder.resolve("broken"));
    }

    @Test
    void aRunWhoseSequencesGetLongerEndsWithTheSameBitsToo() throws IOException {
        String[] keys = {"data.lengths=8@0,16@0.3,32@0.6", "schedule.steps=12", "mixture.passkey=0.5"};
        List<String> asked = new ArrayList<>();
        Mixtures mixtures = order -> {
            asked.add(order.textWeight() + " " + order.answerWeight());
            BatchSource text = new CourseWindows(order.text(), order.course(), order.seed());
            return new Weighted(text, order.textWeight());
        };
        TrainSession session = TrainSession.of(TrainListener.SILENT).with(mixtures);
        Trainer.train(TinyRuns.config(folder, "whole", keys), session);
        assertThat(asked).containsExactly("1.0 1.0", "0.0 1.0");

        TrainConfig config = TinyRuns.config(folder, "broken", keys);
        // In the first phase, at the border of the second, in the last.
        for (int step : new int[] {3, 5, 11}) {
            assertThatThrownBy(() -> Trainer.resume(
                            config, TrainSession.of(new Breaks(step)).with(mixtures)))
                    .isInstanceOf(Broken.class);
        }
        Trainer.resume(config, session);
        assertSameRun(folder.resolve("whole"), folder.resolve("broken"));
        Metrics last = Metrics.of(folder.resolve("whole")).getLast();
        assertThat(last.get(Metrics.VALID_ANSWER_LOSS)).isBetween(0.1, 20.0);
        assertThat(last.get(Metrics.VALID_ANSWER_TOKENS)).isBetween(0.0, 1.0);
    }

    /** Every fourth target is an answer. */
    private record Weighted(BatchSource text, double textWeight) implements BatchSource {
        @Override
        public Batch batch(long index) {
            Batch batch = text.batch(index);
            float[] weights = new float[batch.inputs().length];
            for (int i = 0; i < weights.length; i++) {
                weights[i] = (float) (i % 4 == 0 ? 1 : textWeight) / weights.length;
            }
            return Batch.weighted(batch.rows(), batch.inputs(), batch.targets(), weights);
        }

        @Override
        public long batchesPerEpoch() {
            return Long.MAX_VALUE;
        }

        @Override
        public int vocabSize() {
            return text.vocabSize();
        }
    }

    @Test
    void aSessionEndsWithItsTimeAndTheNextGoesOn() throws IOException {
        Trainer.train(TinyRuns.config(folder, "whole"), TrainListener.SILENT);
        TrainConfig config = TinyRuns.config(folder, "parts");
        Notes notes = new Notes();
        TrainResult first = Trainer.train(config, TrainSession.of(notes).atMost(Duration.ofNanos(1)));
        assertThat(first.finished()).isFalse();
        assertThat(first.step())
                .as("a session gets somewhere however short its time")
                .isEqualTo(1);
        assertThat(notes.lines)
                .anyMatch(l -> l.startsWith("stopped as asked: step 1 of 24 is saved in ")
                        && l.endsWith("continue with --resume"));
        assertThat(Trainer.resume(config, TrainListener.SILENT).finished()).isTrue();
        assertSameRun(folder.resolve("whole"), folder.resolve("parts"));
    }

    @Test
    void aDamagedCheckpointIsPassedOverAndTheRunStillEndsWithTheSameBits() throws IOException {
        Trainer.train(TinyRuns.config(folder, "whole"), TrainListener.SILENT);
        TrainConfig config = TinyRuns.config(folder, "broken");
        assertThatThrownBy(() -> Trainer.resume(config, new Breaks(13))).isInstanceOf(Broken.class);
        Path newest = Checkpoints.of(folder.resolve("broken")).list().getLast().folder();
        Path weights = newest.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        bytes[bytes.length - 5] ^= 1;
        Files.write(weights, bytes);

        Notes notes = new Notes();
        Trainer.resume(config, notes);

        assertThat(notes.lines).anyMatch(l -> l.contains("step-000000010 is damaged (model.safetensors does not have"));
        assertThat(notes.steps.getFirst()).isEqualTo(6);
        assertSameRun(folder.resolve("whole"), folder.resolve("broken"));
    }

    @Test
    void gradientsOfTwoBatchesEqualThoseOfOneTwiceAsLarge() throws IOException {
        String[] common = {"schedule.steps=6", "optimiser.lr=1e-3", "evaluation.windows=0"};
        Trainer.train(config("two", common, "data.batch=4", "optimiser.accumulate=2"), TrainListener.SILENT);
        Trainer.train(config("one", common, "data.batch=8", "optimiser.accumulate=1"), TrainListener.SILENT);

        try (Checkpoint two = last("two");
                Checkpoint one = last("one")) {
            one.config().parameters().forEach(spec -> {
                float[] expected = one.floats(spec.name());
                float[] actual = two.floats(spec.name());
                for (int i = 0; i < expected.length; i++) {
                    // Six steps of at most 1e-3 each: an error of one batch would show in the third digit of those.
                    assertThat(actual[i]).as(spec.name()).isCloseTo(expected[i], within(2e-5f));
                }
            });
        }
    }

    @Test
    void aFinishedRunIsLeftAsItIs() throws IOException {
        TrainConfig config = TinyRuns.config(folder, "run", "schedule.steps=6");
        TrainResult first = Trainer.train(config, TrainListener.SILENT);

        Notes notes = new Notes();
        TrainResult second = Trainer.resume(config, notes);

        assertThat(second).isEqualTo(first);
        assertThat(notes.steps).isEmpty();
    }

    @Test
    void aRunIsContinuedOnlyOnPurposeAndAsItWasBegun() throws IOException {
        String[] six = {"schedule.steps=6"};
        Trainer.train(config("run", six), TrainListener.SILENT);

        assertThatThrownBy(() -> Trainer.train(config("run", six), TrainListener.SILENT))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("already holds a run")
                .hasMessageContaining("--resume");
        assertThatThrownBy(() -> Trainer.resume(config("run", six, "model.state_size=8"), TrainListener.SILENT))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("model.state_size was 4, is 8");
        Notes notes = new Notes();
        Trainer.resume(config("run", six, "schedule.steps=8", "checkpoints.keep=1"), notes);
        assertThat(notes.lines).anyMatch(l -> l.contains("another schedule.steps: 8, was 6"));
        assertThat(notes.steps).containsExactly(7, 8);

        Files.writeString(folder.resolve("text/0.txt"), "quite another text, of another length");
        assertThatThrownBy(() -> Trainer.resume(config("run", six, "schedule.steps=9"), TrainListener.SILENT))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("is not what")
                .hasMessageContaining("was trained on");
    }

    @Test
    void aLossThatIsNoNumberEndsTheRunWithTheStepAndTheLastGoodCheckpoint() throws IOException {
        TrainConfig config = TinyRuns.config(folder, "run");
        assertThatThrownBy(() -> Trainer.train(config, new Breaks(7))).isInstanceOf(Broken.class);
        poison(Checkpoints.of(folder.resolve("run")));

        assertThatThrownBy(() -> Trainer.resume(config, TrainListener.SILENT))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("step 6: the loss is NaN")
                .hasMessageContaining("checkpoint is " + folder.resolve("run/checkpoints/step-000000005"))
                .hasMessageContaining("optimiser.lr");
        // What was no number has changed nothing.
        assertThat(Checkpoints.of(folder.resolve("run")).list()).hasSize(1);
    }

    /** Puts a NaN into the newest weights, with a manifest that fits. */
    private void poison(Checkpoints checkpoints) throws IOException {
        replace(checkpoints, checkpoints.list().getLast().validLoss(), copy -> {
            byte[] weights = Files.readAllBytes(copy.resolve("model.safetensors"));
            weights[weights.length - 1] = 0x7f;
            weights[weights.length - 2] = (byte) 0xc0;
            Files.write(copy.resolve("model.safetensors"), weights);
        });
    }

    /** Puts a changed copy in the newest checkpoint's place. */
    private void replace(Checkpoints checkpoints, double validLoss, Checkpoints.Content change) throws IOException {
        Checkpoints.Saved newest = checkpoints.list().getLast();
        Path copy = Files.createDirectory(folder.resolve("copy"));
        try (var files = Files.list(newest.folder())) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
        }
        Files.delete(copy.resolve("manifest.json"));
        change.write(copy);
        checkpoints.save(newest.step(), validLoss, 2, target -> {
            try (var files = Files.list(copy)) {
                for (Path file : files.toList()) {
                    Files.copy(file, target.resolve(file.getFileName()));
                }
            }
        });
    }

    @Test
    void aFullDiskEndsTheRunWithOneLineAndTheEarlierCheckpoints() throws IOException {
        Path disk = Files.createDirectories(folder.resolve("disk"));
        assumeTrue(SmallDisk.mount(disk, "400k"), SmallDisk.SKIPPED);
        try {
            TrainConfig config = TinyRuns.config(folder, "disk/run", "checkpoints.keep=99", "checkpoints.every=1");

            assertThatThrownBy(() -> Trainer.train(config, TrainListener.SILENT))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("cannot save the checkpoint of step")
                    .hasMessageContaining("No space left on device")
                    .hasMessageContaining("the last complete one is");

            List<String> notes = new ArrayList<>();
            assertThat(Checkpoints.of(disk.resolve("run")).newestSound(notes::add))
                    .isPresent();
            assertThat(notes).isEmpty();
        } finally {
            SmallDisk.unmount(disk);
        }
    }

    @Test
    void stepsAndEvaluationsLeaveNoNativeObjects() throws IOException {
        TrainConfig config = TinyRuns.config(folder, "run");
        try (RunFolder run = RunFolder.open(config.out());
                TrainingData data = TrainingData.open(config, run);
                Learner learner = new Learner(config.model().config(256), config, Ranks.alone())) {
            var train = data.training(config, Mixtures.NONE);
            for (int step = 0; step < 3; step++) {
                learner.step(step, train);
            }
            long before = TensorScope.liveObjects();
            for (int step = 3; step < 10; step++) {
                learner.step(step, train);
                learner.evaluate(train.batch(step));
            }
            assertThat(TensorScope.liveObjects()).isEqualTo(before);
        }
    }

    @Test
    void theStepsAreChosenToTakeTheMinutesAsked() throws IOException {
        Notes notes = new Notes();
        TrainConfig config = TinyRuns.config(
                folder, "run", "schedule.minutes=0.02", "schedule.warmup_steps=2", "evaluation.windows=0");
        TrainResult result = Trainer.train(config, notes);

        assertThat(result.finished()).isTrue();
        int steps = TrainConfig.load(folder.resolve("run/config.yaml"), List.of())
                .schedule()
                .steps();
        assertThat(result.step()).isEqualTo(steps);
        assertThat(notes.lines).anyMatch(l -> l.contains("steps take about"));
        // The same recipe continues (and here: finds finished) the run, whatever the machine's speed is by then.
        assertThat(Trainer.resume(config, TrainListener.SILENT).step()).isEqualTo(steps);
    }

    @ParameterizedTest
    @ValueSource(strings = {"data.length=30000", "data.length=6000"}) // too long for the train part, the valid part
    void aStartThatIsRejectedLeavesNothingAndCanBeCorrected(String tooLong) throws IOException {
        String part = tooLong.endsWith("30000") ? "train" : "valid";
        String[] two = {"schedule.steps=2", "schedule.warmup_steps=1"};
        assertThatThrownBy(() -> Trainer.train(config("run", two, tooLong), TrainListener.SILENT))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("the " + part + " part of");
        assertThat(folder.resolve("run")).doesNotExist();

        // Where the folder was there before, it stays, and counts as unused.
        Files.createDirectory(folder.resolve("run"));
        assertThatThrownBy(() -> Trainer.train(config("run", two, tooLong), TrainListener.SILENT))
                .isInstanceOf(UserError.class);
        try (var files = Files.list(folder.resolve("run"))) {
            assertThat(files.map(p -> p.getFileName().toString())).containsExactly("run.lock");
        }
        assertThat(Trainer.train(config("run", two), TrainListener.SILENT).finished())
                .isTrue();
    }

    @Test
    void aRunWithoutCheckpointAndMetricsCountsAsNotBegun() throws IOException {
        assertThatThrownBy(() -> Trainer.train(TinyRuns.config(folder, "run"), new Breaks(1)))
                .isInstanceOf(Broken.class);
        assertThat(folder.resolve("run/config.yaml")).exists();

        TrainConfig corrected = TinyRuns.config(folder, "run", "data.length=16", "schedule.steps=4");
        assertThat(Trainer.train(corrected, TrainListener.SILENT).finished()).isTrue();
    }

    @Test
    void minutesChangeNothingInARunThatWasBegun() throws IOException {
        String[] six = {"schedule.steps=6"};
        Trainer.train(config("run", six), TrainListener.SILENT);
        TrainConfig minutes = TinyRuns.config(folder, "run", "schedule.minutes=30");

        Notes notes = new Notes();
        TrainResult result = Trainer.resume(minutes, notes);

        assertThat(result.step()).isEqualTo(6);
        assertThat(notes.lines)
                .singleElement()
                .asString()
                .contains("schedule.minutes = 30.0 changes nothing: the steps of this run are fixed at 6");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "/", "/**", "/*/config.yaml"})
    void aRunFolderWithinItsOwnDataIsRefused(String path) throws IOException {
        TrainConfig config = TinyRuns.config(folder, "run", "data.path=" + folder + path);

        assertThatThrownBy(() -> Trainer.train(config, TrainListener.SILENT))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("takes in the run folder")
                .hasMessageContaining("--set out=FOLDER");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @Test
    void aRunFolderBesideItsDataOrHiddenIsNot() throws IOException {
        String[] two = {"schedule.steps=2", "schedule.warmup_steps=1"};
        assertThat(Trainer.train(config("run", two, "data.path=" + folder + "/**.txt"), TrainListener.SILENT)
                        .finished())
                .isTrue();
        assertThat(Trainer.train(config(".run", two, "data.path=" + folder + "/text"), TrainListener.SILENT)
                        .finished())
                .isTrue();
    }

    @Test
    void aPictureThatCannotBeDrawnIsOneNote() throws IOException {
        Files.createDirectories(folder.resolve("run/loss.png/in the way"));

        Notes notes = new Notes();
        TrainResult result = Trainer.train(TinyRuns.config(folder, "run", "metrics.plot=true"), notes);

        assertThat(result.finished()).isTrue();
        assertThat(notes.lines)
                .singleElement()
                .asString()
                .contains("cannot draw")
                .contains("loss.png");
    }

    @ParameterizedTest
    @ValueSource(ints = {6, 20, 24}) // an evaluation's, a checkpoint's, the last step
    void anEvaluationThatWasCutShortIsMadeUpFor(int step) throws IOException {
        Trainer.train(TinyRuns.config(folder, "whole"), TrainListener.SILENT);
        TrainConfig config = TinyRuns.config(folder, "broken");
        if (step < 24) {
            assertThatThrownBy(() -> Trainer.resume(config, new Breaks(step + 1)))
                    .isInstanceOf(Broken.class);
        } else {
            Trainer.resume(config, TrainListener.SILENT);
        }
        if (step == 6) {
            // This step saves only when it is asked to stop.
            TrainConfig six = TinyRuns.config(folder, "broken", "checkpoints.every=6");
            assertThatThrownBy(() -> Trainer.resume(six, new Breaks(7))).isInstanceOf(Broken.class);
        }
        forgetEvaluation(Checkpoints.of(folder.resolve("broken")), step);

        TrainResult result = Trainer.resume(config, TrainListener.SILENT);

        assertThat(result.validLoss()).isFinite();
        assertThat(Checkpoints.of(folder.resolve("broken")).list().getLast().validLoss())
                .isEqualTo(result.validLoss());
        assertSameRun(folder.resolve("whole"), folder.resolve("broken"));
    }

    /** Makes the newest checkpoint what Ctrl-C during its evaluation would have saved. */
    private void forgetEvaluation(Checkpoints checkpoints, int step) throws IOException {
        Checkpoints.Saved newest = checkpoints.list().getLast();
        assertThat(newest.step()).isEqualTo(step);
        replace(checkpoints, Double.NaN, copy -> {
            Path metrics = copy.resolve("metrics.jsonl");
            List<String> lines = Files.readAllLines(metrics);
            assertThat(lines.getLast()).contains("valid_loss");
            Files.write(metrics, lines.subList(0, lines.size() - 1));
        });
    }

    @Test
    void memoryThatRunsOutIsOneLine() throws IOException {
        TrainConfig config = TinyRuns.config(folder, "run");
        BatchSource hungry = new BatchSource() {
            @Override
            public Batch batch(long index) {
                // As libtorch says it.
                throw new RuntimeException("[enforce fail at alloc_cpu.cpp:117] err == 0."
                        + " DefaultCPUAllocator: can't allocate memory\nException raised from here\nand there");
            }

            @Override
            public long batchesPerEpoch() {
                return 1;
            }

            @Override
            public int vocabSize() {
                return 256;
            }
        };
        try (Learner learner = new Learner(config.model().config(256), config, Ranks.alone())) {
            assertThatThrownBy(() -> learner.step(4, hungry))
                    .isInstanceOf(UserError.class)
                    .hasMessageStartingWith("training step 5: not enough memory")
                    .hasMessageContaining("use a smaller batch")
                    .hasMessageNotContaining("raised from");
        }
    }

    private TrainConfig config(String run, String[] common, String... more) throws IOException {
        List<String> all = new ArrayList<>(List.of(common));
        all.addAll(List.of(more));
        return TinyRuns.config(folder, run, all.toArray(String[]::new));
    }

    private Checkpoint last(String run) {
        return Checkpoint.open(
                Checkpoints.of(folder.resolve(run)).list().getLast().folder());
    }

    /** Equal weights, optimiser, tokenizer, and metrics but for what the clock says. */
    static void assertSameRun(Path whole, Path other) throws IOException {
        Path a = Checkpoints.of(whole).list().getLast().folder();
        Path b = Checkpoints.of(other).list().getLast().folder();
        for (String file :
                List.of("model.safetensors", "optimizer.safetensors", "config.json", "tokenizer_config.json")) {
            assertThat(b.resolve(file)).hasSameBinaryContentAs(a.resolve(file));
        }
        assertThat(withoutClock(other)).isEqualTo(withoutClock(whole));
    }

    private static List<Metrics> withoutClock(Path run) {
        return Metrics.of(run).stream()
                .map(m -> {
                    Map<String, Double> values = new LinkedHashMap<>(m.values());
                    values.remove(Metrics.SECONDS);
                    values.remove(Metrics.TOKENS_PER_SECOND);
                    return new Metrics(m.step(), 0, values);
                })
                .toList();
    }

    private static final class Notes implements TrainListener {
        final List<String> lines = new ArrayList<>();
        final List<Integer> steps = new ArrayList<>();

        @Override
        public void note(String line) {
            lines.add(line);
        }

        @Override
        public void stepped(Progress progress) {
            steps.add(progress.step());
        }
    }

    private static final class Broken extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    private record Breaks(int step) implements TrainListener {
        @Override
        public void stepped(Progress progress) {
            if (progress.step() == step) {
                throw new Broken();
            }
        }
    }
}
