package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;

class ExperimentRunTest {
    @TempDir
    private Path folder = Path.of("");

    private final AtomicInteger runs = new AtomicInteger();

    /** Counts how often it runs; pauses once half done if time is up. */
    private record Counted(String model, String recipe, String hindrance, AtomicInteger runs) implements Part {
        @Override
        public String setting() {
            return "";
        }

        @Override
        public long seed() {
            return 1;
        }

        @Override
        public double projectSeconds() {
            return 65;
        }

        @Override
        public List<Result> run(PartRun run) {
            runs.incrementAndGet();
            Path kept = run.folder().resolve("half");
            try {
                if (!Files.exists(kept)) {
                    Files.createDirectories(run.folder());
                    Files.writeString(kept, "");
                    run.progress(0.5, "half");
                    run.pauseIfTimeIsUp();
                }
            } catch (IOException e) {
                throw new AssertionError(e);
            }
            return List.of(
                    new Result(model, "a", 1, "accuracy", 0.25, 2, 1000),
                    new Result(model, "b", 1, "accuracy", Double.NaN, 0, 1000));
        }
    }

    private record Fake(List<Part> all) implements Experiment {
        @Override
        public String name() {
            return "fake";
        }

        @Override
        public String question() {
            return "Does it run?";
        }

        @Override
        public List<Part> parts(Setup setup) {
            return all;
        }

        @Override
        public Findings findings(Results results, Setup setup) {
            ResultTable table = new ResultTable(
                    "Fake",
                    List.of("model", "accuracy"),
                    results.models().stream()
                            .map(model -> List.of(model, ResultTable.percent(results.estimate(model, "a", "accuracy"))))
                            .toList(),
                    "none");
            return new Findings(List.of(table), List.of(), List.of("a note"));
        }
    }

    private Counted part(String model, String recipe) {
        return new Counted(model, recipe, "", runs);
    }

    @Test
    void runsWhatIsNotDoneAndSaysWhatIsMissing() {
        Fake fake = new Fake(List.of(
                part("Mamba", "one"), part("H3 | x", "one"), new Counted("New", "one", "no such family", runs)));
        Smoke smoke = new Smoke(fake, folder);
        ExperimentRun.Outcome some = smoke.run("mamba");
        assertThat(smoke.lines)
                .contains("fake, scale smoke, on cpu: 1 parts, 0 done before", "projected time: 65 s for 1 parts");
        assertThat(some.left()).containsExactly("H3 | x, seed 1");
        assertThat(some.missing()).containsExactly("New, seed 1: no such family");
        assertThat(some.results().models()).containsExactly("Mamba");

        ExperimentRun.Outcome all = smoke.run();
        assertThat(runs).hasValue(2);
        assertThat(all.left()).isEmpty();
        assertThat(all.results().models()).containsExactly("Mamba", "H3 | x");
        assertThat(all.results().estimate("Mamba", "b", "accuracy")).isEqualTo(Optional.empty());
        assertThat(all.results().parameters("Mamba")).isEqualTo(1000);
        assertThat(folder.resolve("tables.md"))
                .content()
                .contains("| model | accuracy |", "| H3 \\| x | 25.0 |", "- a note", "- not run: New");
        assertThat(folder.resolve("results.json"))
                .content()
                .contains("\"scale\": \"smoke\"", "\"value\": 0.25", "no such family");
    }

    @Test
    void goesOnAfterAPause() {
        Fake fake = new Fake(List.of(part("Mamba", "one")));
        Smoke smoke = new Smoke(fake, folder);
        // Time is up before anything begins, and nothing is lost by it.
        assertThat(smoke.run(Duration.ZERO).left()).hasSize(1);
        assertThat(runs).hasValue(0);
        ExperimentRun.Outcome outcome = smoke.run(Duration.ofSeconds(30));
        assertThat(runs).hasValue(1);
        assertThat(outcome.left()).isEmpty();
        assertThat(folder.resolve("parts"))
                .isDirectoryContaining(path -> path.toString().endsWith(".json"));
        assertThat(folder.resolve("parts"))
                .isDirectoryNotContaining(path -> path.toString().endsWith(".unfinished"));
    }

    @Test
    void wishesMayNameSettingsAndBeginnings() {
        Part early = new Set("Mamba", "context 2^8");
        Part late = new Set("Mamba", "species 2^8");
        Part other = new Set("MemMamba", "context 2^8");
        Fake fake = new Fake(List.of(early, late, other));
        assertThat(new Smoke(fake, folder.resolve("a")).run("^Mamba context").left())
                .containsExactly("Mamba species 2^8, seed 1", "MemMamba context 2^8, seed 1");
        assertThat(new Smoke(fake, folder.resolve("b")).run("mamba context").left())
                .containsExactly("Mamba species 2^8, seed 1");
        assertThat(new Smoke(fake, folder.resolve("c")).run("Mamba").left())
                .containsExactly("MemMamba context 2^8, seed 1");
    }

    /** Runs at once. */
    private record Set(String model, String setting) implements Part {
        @Override
        public long seed() {
            return 1;
        }

        @Override
        public String recipe() {
            return "one";
        }

        @Override
        public double projectSeconds() {
            return 1;
        }

        @Override
        public List<Result> run(PartRun run) {
            return List.of(new Result(model, setting, 1, "accuracy", 1, 0, 0));
        }
    }

    /** A model that learns a chain of letters. */
    private static TrainedPart trained() {
        ModelRow row = ModelRow.of("m", "'model_type':'mamba','vocab_size':256,'hidden_size':8,'num_hidden_layers':1");
        LetterChain chain = new LetterChain(16, 2, 1);
        return new TrainedPart(
                row,
                "",
                1,
                List.of("threads=1", "data.batch=2", "data.length=16", "schedule.steps=12", "schedule.warmup_steps=1"),
                "cpu",
                "letters",
                chain,
                (training, run, figures) -> figures.add("", "loss", training.loss(chain.batch(99)), 0));
    }

    @Test
    void aTrainingThatIsStoppedHalfWayEndsAsOneThatIsNot() {
        double straight = new Smoke(new Fake(List.of(trained())), folder.resolve("straight"))
                .run()
                .results()
                .values("m", "", "loss")[0];
        AtomicInteger asked = new AtomicInteger();
        PartRun halfWay = new PartRun() {
            @Override
            public Path folder() {
                return folder.resolve("stopped").resolve("parts").resolve("smoke-m--seed1.unfinished");
            }

            @Override
            public void progress(double done, String detail) {}

            @Override
            public boolean isTimeUp() {
                return asked.incrementAndGet() == 5;
            }
        };
        assertThatThrownBy(() -> trained().run(halfWay)).isInstanceOf(PartRun.Paused.class);
        assertThat(halfWay.folder().resolve("training.json")).content().contains("\"step\": 5");
        Smoke goesOn = new Smoke(new Fake(List.of(trained())), folder.resolve("stopped"));
        assertThat(goesOn.run().results().values("m", "", "loss")).containsExactly(straight);
        assertThat(halfWay.folder()).doesNotExist();
    }

    /** Ends the process at hand, as far as a test can. */
    private static final class Killed extends Error {
        private static final long serialVersionUID = 1;
    }

    @Test
    void whatWasDoneBeforeAKillIsNotDoneAgain() {
        Part dies = new MeasuredPart("second", "", 1, "one", 1, "", (run, figures) -> {
            throw new Killed();
        });
        assertThatThrownBy(() -> new Smoke(new Fake(List.of(part("first", "one"), dies)), folder).run())
                .isInstanceOf(Killed.class);
        Part lives = new MeasuredPart(
                "second", "", 1, "one", 1, "", (run, figures) -> figures.add("a", "accuracy", 0.5, 0, 0));
        ExperimentRun.Outcome outcome = new Smoke(new Fake(List.of(part("first", "one"), lives)), folder).run();
        assertThat(runs).hasValue(1);
        assertThat(outcome.results().models()).containsExactly("first", "second");
    }

    @Test
    void aPartThatFailsDoesNotKeepOthersFromRunning() {
        Part fails = new MeasuredPart("first", "", 1, "one", 1, "", (run, figures) -> {
            throw new UserError("the loss is NaN");
        });
        ExperimentRun.Outcome outcome = new Smoke(new Fake(List.of(fails, part("second", "one"))), folder).run();
        assertThat(outcome.results().models()).containsExactly("second");
        assertThat(outcome.failed()).containsExactly("first, seed 1: the loss is NaN");
        assertThat(outcome.left()).containsExactly("first, seed 1");
    }

    @Test
    void aPartOfAnotherRecipeDoesNotCount() {
        new Smoke(new Fake(List.of(part("Mamba", "one"))), folder).run();
        new Smoke(new Fake(List.of(part("Mamba", "two"))), folder).run();
        new Smoke(new Fake(List.of(part("Mamba", "two"))), folder).run();
        assertThat(runs).hasValue(2);
    }

    @Test
    void namesWhatThereIs() {
        Fake fake = new Fake(List.of(part("Mamba", "one")));
        assertThatThrownBy(() -> new Smoke(fake, folder).run("lstm"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("lstm")
                .hasMessageContaining("Mamba");
        Fake two = new Fake(List.of(part("Mamba", "one"), part("MemMamba", "one")));
        assertThat(new Smoke(two, folder).run("mamba").left()).containsExactly("MemMamba, seed 1");
        assertThat(new Smoke(two, folder).run("mam").left()).isEmpty();
        assertThatThrownBy(() -> Experiments.named("nothing"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("induction-heads");
    }

    @Test
    void showsFiguresAsPeopleReadThem() {
        assertThat(ResultTable.cell(Optional.empty(), 2)).isEmpty();
        Results results = new Results(List.of(
                new Result("m", "", 1, "loss", 1, 0, 5),
                new Result("m", "", 2, "loss", 3, 0, 5),
                new Result("n", "", 1, "loss", 0.5, 0, 5)));
        // Student's 97.5 % quantile for one degree of freedom, 12.706, times 1.
        assertThat(ResultTable.cell(results.estimate("m", "", "loss"), 2)).isEqualTo("2.00 ± 12.71");
        assertThat(ResultTable.cell(results.estimate("n", "", "loss"), 2)).isEqualTo("0.50");
        assertThat(ResultTable.percent(results.estimate("n", "", "loss"))).isEqualTo("50.0");
        assertThat(results.seeds("m")).isEqualTo(2);
        assertThat(ExperimentRun.duration(3.24)).isEqualTo("3.2 s");
        assertThat(ExperimentRun.duration(185)).isEqualTo("3:05 min");
        assertThat(ExperimentRun.duration(3725)).isEqualTo("1:02:05 h");
    }

    @Test
    void drawsLogarithmicAxesAndBars() {
        LineChart chart = new LineChart(
                "c",
                "A chart",
                new LineChart.Axis("x", true),
                new LineChart.Axis("y", true),
                List.of(
                        LineChart.Series.of(
                                "a", List.of(LineChart.Point.of(1, 10), new LineChart.Point(1000, 20, 15, 30))),
                        new LineChart.Series(
                                "fit", List.of(LineChart.Point.of(1, 9), LineChart.Point.of(1000, 25)), true),
                        LineChart.Series.of("empty", List.of())));
        assertThat(chart.series()).hasSize(2);
        assertThat(chart.png()).startsWith(0x89, 'P', 'N', 'G').hasSizeGreaterThan(5000);
    }
}
