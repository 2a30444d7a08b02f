package org.mamba4j.cli;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.experiments.Experiment;
import org.mamba4j.experiments.ExperimentRun;
import org.mamba4j.experiments.Experiments;
import org.mamba4j.experiments.ResultTable;
import org.mamba4j.experiments.Scale;
import org.mamba4j.experiments.Setup;
import org.mamba4j.experiments.SmokeData;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "experiment",
        description = {
            "Run an experiment of the Mamba or the MemMamba paper with all its models.",
            "",
            "The folder gets the figures (results.json), tables with the published figures beside ours (tables.md), pictures and a page (index.html). What is done is kept: the same command goes on where it was stopped."
        },
        footer = {"", "Example:  ./mamba4j experiment induction-heads --scale small"})
final class ExperimentCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Parameters(
            paramLabel = "NAME",
            description = "One of ${COMPLETION-CANDIDATES}.",
            completionCandidates = Names.class)
    private String name = "";

    @Option(
            names = "--scale",
            paramLabel = "smoke|small|full",
            defaultValue = "small",
            description =
                    "How much: seconds on a CPU, up to 15 minutes on two cores, or what a GPU does in up to 25 minutes for each model and seed (default: ${DEFAULT-VALUE}).")
    private String scale = "";

    @Option(
            names = "--device",
            paramLabel = "cpu|cuda|cuda:N",
            defaultValue = "cpu",
            description = "Where it runs (default: ${DEFAULT-VALUE}).")
    private String device = "";

    @Option(
            names = "--seeds",
            paramLabel = "N",
            defaultValue = "1",
            description = "How many seeds each model is run with (default: ${DEFAULT-VALUE}).")
    private int seeds;

    @Option(
            names = "--seed",
            paramLabel = "S",
            defaultValue = "1",
            description = "The first of them; the others follow (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Folder for everything (default: runs/experiments/NAME).")
    private @Nullable Path out;

    @Option(
            names = "--data",
            paramLabel = "DIR",
            description =
                    "Folder of the data sets (default: ../shared/data beside the project; smoke makes up its own).")
    private @Nullable Path data;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "0",
            description = "Training steps instead of the scale's own (default: those of the scale).")
    private int steps;

    @Option(
            names = "--model",
            paramLabel = "LIST",
            split = ",",
            description =
                    "Run only models with one of these in their names and settings, or, after ^, at their beginning (default: all).")
    private List<String> models = new ArrayList<>();

    @Option(
            names = "--set",
            paramLabel = "key=value",
            description =
                    "Replace a setting of the trainings, for example optimiser.lr=1e-3, as in a recipe of train; may be given several times.")
    private List<String> settings = new ArrayList<>();

    @Option(
            names = "--stop-after",
            paramLabel = "MINUTES",
            description = "Save and end after so many minutes, to go on later (default: at the end).")
    private double minutes = Double.POSITIVE_INFINITY;

    @Option(names = "--report-only", description = "Run nothing: report what there is in the folder.")
    private boolean reportOnly;

    /** For help and completion. */
    static final class Names implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Experiments.all().stream().map(Experiment::name).iterator();
        }
    }

    @Override
    public void run() {
        Experiment experiment = Experiments.named(name);
        Path folder = out == null ? Path.of("runs", "experiments", name) : out;
        Setup setup = new Setup(scale(), device, seedList(), dataFolder(experiment, folder), checkedSteps());
        String command = "./mamba4j "
                + String.join(" ", spec.commandLine().getParseResult().originalArgs());
        // What ran on a GPU is reported anywhere.
        String machine = reportOnly ? "" : ThisMachine.describe(device);
        ExperimentRun.Order order =
                new ExperimentRun.Order(folder, models, settings, duration(), reportOnly, machine, command);
        System.out.println(Terminal.STDOUT.bold(experiment.question()));
        ExperimentRun.Outcome outcome;
        try (StatusLine status = new StatusLine("")) {
            outcome = new ExperimentRun(experiment, setup, order, new Shown(status)).run();
        }
        Path page = folder.resolve("index.html");
        AtomicFile.writeString(page, new ExperimentPage(experiment, setup, order, outcome).toHtml());
        outcome.findings().tables().forEach(ExperimentCommand::print);
        outcome.findings().notes().forEach(note -> System.out.println(Terminal.STDOUT.dim(note)));
        outcome.missing().forEach(one -> System.out.println("cannot run: " + one));
        if (!outcome.left().isEmpty()) {
            int left = outcome.left().size();
            System.out.println(
                    left + (left == 1 ? " part is" : " parts are") + " left: run the same command again to go on"
                            + (models.isEmpty() ? "" : ", without --model for the other models"));
        }
        System.err.println(Terminal.STDERR.dim("written: " + page));
        if (!outcome.failed().isEmpty()) {
            throw new UserError(outcome.failed().size() + " parts failed: " + String.join("; ", outcome.failed()));
        }
    }

    private static void print(ResultTable table) {
        System.out.println();
        System.out.println(Terminal.STDOUT.bold(table.title()));
        Table text = new Table("l" + "r".repeat(table.columns().size() - 1));
        text.row(table.columns().toArray(String[]::new));
        table.rows().forEach(row -> text.row(row.toArray(String[]::new)));
        text.lines().forEach(System.out::println);
        System.out.println(Terminal.STDOUT.dim(table.caption()));
    }

    private Scale scale() {
        for (Scale one : Scale.values()) {
            if (one.label().equals(scale)) {
                return one;
            }
        }
        throw new UserError("--scale " + scale + ": must be smoke, small or full");
    }

    private List<Long> seedList() {
        if (seeds < 1 || seeds > 1000) {
            throw new UserError("--seeds " + seeds + ": must be between 1 and 1000");
        }
        if (seed < 0) {
            throw new UserError("--seed " + seed + ": must not be negative");
        }
        return LongStream.range(seed, seed + seeds).boxed().toList();
    }

    private int checkedSteps() {
        if (steps < 0) {
            throw new UserError("--steps " + steps + ": must be at least 1, or 0 for those of the scale");
        }
        return steps;
    }

    private Duration duration() {
        if (!(minutes > 0)) {
            throw new UserError("--stop-after " + minutes + ": must be above 0 minutes");
        }
        return minutes > 1e6 ? Duration.ofDays(1000) : Duration.ofMillis((long) (60_000 * minutes));
    }

    private Path dataFolder(Experiment experiment, Path folder) {
        if (data != null) {
            return data;
        }
        return scale() == Scale.SMOKE
                ? SmokeData.write(experiment, folder)
                : Path.of(System.getProperty("mamba4j.home", "")).resolve("../shared/data");
    }

    /** Lines stay, progress is overwritten; in a log it is a line now and then. */
    private static final class Shown implements ExperimentRun.Listener {
        private static final long PLAIN_NANOS = 20_000_000_000L;

        private final StatusLine status;
        private long shownAt = System.nanoTime();

        Shown(StatusLine status) {
            this.status = status;
        }

        @Override
        public void line(String text) {
            status.close();
            System.out.println(text);
        }

        @Override
        public void progress(String text) {
            if (Terminal.STDERR.isInteractive()) {
                status.show(text);
            } else if (System.nanoTime() - shownAt > PLAIN_NANOS) {
                shownAt = System.nanoTime();
                System.out.println(text);
            }
        }
    }
}
