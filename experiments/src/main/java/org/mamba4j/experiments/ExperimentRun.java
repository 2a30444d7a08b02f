package org.mamba4j.experiments;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;
import org.mamba4j.tasks.Pictures;
import org.mamba4j.torch.TorchException;

/**
 * Runs an experiment's parts one after the other and writes what came out: {@code results.json} (all figures, one row
 * each), {@code tables.md} and a PNG for each chart. A part that is done is not run again: the same command goes on where
 * the last one ended, and processes that share a folder, each with other models, add up to one experiment.
 */
public final class ExperimentRun {
    /** The figures' file. */
    public static final String RESULTS = "results.json";

    private final Experiment experiment;
    private final Setup setup;
    private final Order order;
    private final Listener listener;
    private final PartStore store;
    private final List<String> failed = new ArrayList<>();
    private final long end;

    /**
     * What is wanted.
     *
     * @param out folder for everything
     * @param models only parts with one of these in the names of model and setting, or, after {@code ^}, at their beginning;
     *     what is a model's whole name means that model alone; all if empty
     * @param settings {@code key=value} that replace those of the trainings
     * @param atMost time after which the run ends, to be continued
     * @param reportOnly whether to run nothing and only report what there is
     * @param machine what the figures depend on
     * @param command that does this
     */
    public record Order(
            Path out,
            List<String> models,
            List<String> settings,
            Duration atMost,
            boolean reportOnly,
            String machine,
            String command) {
        /** Copies the lists. */
        public Order {
            models = List.copyOf(models);
            settings = List.copyOf(settings);
        }
    }

    /** Sees what happens. */
    public interface Listener {
        /** Something that stays. */
        void line(String text);

        /** Where the part at hand stands; called often. */
        void progress(String text);
    }

    /**
     * What there is afterwards.
     *
     * @param results of all parts that are done, now or before
     * @param findings of them
     * @param pictures that could be drawn
     * @param left parts that are still to be run
     * @param missing parts that cannot be, with the reason
     * @param failed parts that were begun and failed, with the reason; they are left to be run, too
     * @param machines what the parts that are done ran on
     */
    public record Outcome(
            Results results,
            Findings findings,
            List<Path> pictures,
            List<String> left,
            List<String> missing,
            List<String> failed,
            List<String> machines) {
        /** Copies the lists. */
        public Outcome {
            pictures = List.copyOf(pictures);
            left = List.copyOf(left);
            missing = List.copyOf(missing);
            failed = List.copyOf(failed);
            machines = List.copyOf(machines);
        }
    }

    /** Of an experiment, to be started by {@link #run}. */
    public ExperimentRun(Experiment experiment, Setup setup, Order order, Listener listener) {
        this.experiment = experiment;
        this.setup = setup;
        this.order = order;
        this.listener = listener;
        this.store = new PartStore(order.out().resolve("parts"), setup.scale());
        Duration longest = Duration.ofDays(36_500);
        this.end = System.nanoTime() + (order.atMost().compareTo(longest) < 0 ? order.atMost() : longest).toNanos();
    }

    /**
     * Runs what is not done yet.
     *
     * <p>A part that fails does not keep the others from being run.
     *
     * @throws UserError if no part has one of the models, data is missing, or a file cannot be written
     */
    public Outcome run() {
        List<Part> all =
                experiment.parts(setup).stream().map(this::withSettings).toList();
        List<Part> wanted = all.stream().filter(part -> isWanted(part, all)).toList();
        if (wanted.isEmpty()) {
            throw new UserError("no model of " + experiment.name() + " has " + String.join(" or ", order.models())
                    + " in its name: it has "
                    + String.join(", ", all.stream().map(Part::model).distinct().toList()));
        }
        List<Part> open = wanted.stream()
                .filter(part -> part.hindrance().isEmpty() && store.read(part).isEmpty())
                .toList();
        long hindered =
                wanted.stream().filter(part -> !part.hindrance().isEmpty()).count();
        listener.line(String.format(
                Locale.ROOT,
                "%s, scale %s, on %s: %d parts, %d done before%s",
                experiment.name(),
                setup.scale().label(),
                setup.device(),
                wanted.size(),
                wanted.size() - open.size() - hindered,
                hindered == 0 ? "" : ", " + hindered + " cannot run"));
        if (!order.reportOnly() && !open.isEmpty()) {
            project(open);
            runAll(open);
        }
        return report(all);
    }

    /** What is trained, trained as the user wants it. */
    private Part withSettings(Part part) {
        return part instanceof TrainedPart trained && !order.settings().isEmpty()
                ? trained.withSettings(order.settings())
                : part;
    }

    private boolean isWanted(Part part, List<Part> all) {
        return order.models().isEmpty()
                || order.models().stream().anyMatch(wish -> fits(wish.toLowerCase(Locale.ROOT), part, all));
    }

    /** A wish that is a model's whole name means that model alone. */
    private static boolean fits(String wish, Part part, List<Part> all) {
        if (all.stream().anyMatch(other -> other.model().equalsIgnoreCase(wish))) {
            return part.model().equalsIgnoreCase(wish);
        }
        String name = (part.model() + " " + part.setting()).toLowerCase(Locale.ROOT);
        return wish.startsWith("^") ? name.startsWith(wish.substring(1)) : name.contains(wish);
    }

    /** Says how long it will take: parts that differ in their seed alone take equally long. */
    private void project(List<Part> open) {
        Map<String, Double> known = new HashMap<>();
        double sum = 0;
        int asked = 0;
        for (Part part : open) {
            if (System.nanoTime() >= end) {
                break;
            }
            listener.progress("measuring speed: " + title(part));
            String kind = part.model() + "\n" + part.setting();
            Double seconds = known.get(kind);
            if (seconds == null) {
                seconds = project(part);
                known.put(kind, seconds);
            }
            sum += seconds;
            asked++;
        }
        listener.line(String.format(Locale.ROOT, "projected time: %s for %d parts", duration(sum), asked));
    }

    /** 0 for what fails: that is said when it is run. */
    private static double project(Part part) {
        try {
            return part.projectSeconds();
        } catch (UserError | TorchException e) {
            return 0;
        }
    }

    private void runAll(List<Part> open) {
        int number = 0;
        for (Part part : open) {
            number++;
            if (System.nanoTime() >= end) {
                listener.line("time is up: run the same command again to go on");
                return;
            }
            String title = String.format(Locale.ROOT, "[%d/%d] %s", number, open.size(), title(part));
            long start = System.nanoTime();
            try {
                List<Result> results = part.run(new Running(store.unfinished(part), title));
                double seconds = (System.nanoTime() - start) * 1e-9;
                store.write(part, new PartStore.Stored(part.recipe(), order.machine(), now(), seconds, results));
                listener.line(title + ": " + summary(results) + ", " + duration(seconds));
            } catch (PartRun.Paused paused) {
                listener.line(title + ": time is up; run the same command again to go on");
                return;
            } catch (UserError | TorchException e) {
                // The loss is no number, or the memory too small: of this model, so the others are still worth their
                // time.
                failed.add(title(part) + ": " + e.getMessage());
                listener.line(title + ": failed: " + e.getMessage());
            }
        }
    }

    private static String title(Part part) {
        return part.model() + (part.setting().isEmpty() ? "" : " " + part.setting()) + ", seed " + part.seed();
    }

    private static String summary(List<Result> results) {
        Result last = results.getFirst();
        return last.metric() + (last.setting().isEmpty() ? "" : " " + last.setting()) + " "
                + String.format(Locale.ROOT, "%.4g", last.value());
    }

    private static String now() {
        return Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
    }

    /** As {@code 12 s}, {@code 3:05 min} or {@code 1:02:03 h}. */
    static String duration(double seconds) {
        long whole = Math.round(seconds);
        if (whole < 100) {
            return seconds < 9.5 ? String.format(Locale.ROOT, "%.1f s", seconds) : whole + " s";
        }
        return whole < 3600
                ? String.format(Locale.ROOT, "%d:%02d min", whole / 60, whole % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d h", whole / 3600, whole / 60 % 60, whole % 60);
    }

    /** What the part at hand is told. */
    private final class Running implements PartRun {
        private final Path folder;
        private final String title;

        private Running(Path folder, String title) {
            this.folder = folder;
            this.title = title;
        }

        @Override
        public Path folder() {
            return folder;
        }

        @Override
        public void progress(double done, String detail) {
            listener.progress(String.format(Locale.ROOT, "%s: %.0f %%, %s", title, 100 * done, detail));
        }

        @Override
        public boolean isTimeUp() {
            return System.nanoTime() >= end;
        }
    }

    private Outcome report(List<Part> all) {
        List<Result> rows = new ArrayList<>();
        List<String> left = new ArrayList<>();
        List<String> missing = new ArrayList<>();
        List<String> machines = new ArrayList<>();
        for (Part part : all) {
            Optional<PartStore.Stored> stored = store.read(part);
            if (stored.isPresent()) {
                rows.addAll(stored.get().results());
                machines.add(stored.get().machine());
            } else if (!part.hindrance().isEmpty()) {
                missing.add(title(part) + ": " + part.hindrance());
            } else {
                left.add(title(part));
            }
        }
        Results results = new Results(rows);
        Findings findings = experiment.findings(results, setup);
        List<String> ranOn = machines.stream().distinct().toList();
        writeResults(rows, left, missing, ranOn);
        writeTables(findings, missing);
        List<Path> pictures = new ArrayList<>();
        for (LineChart chart : findings.charts()) {
            Path png = order.out().resolve(chart.file() + ".png");
            if (Pictures.write(png, chart::png)) {
                pictures.add(png);
            }
        }
        return new Outcome(results, findings, pictures, left, missing, failed, ranOn);
    }

    private void writeResults(List<Result> rows, List<String> left, List<String> missing, List<String> machines) {
        Path file = order.out().resolve(RESULTS);
        AtomicFile.makeFolderOf(file);
        JsonObject json = JsonObject.builder()
                .put("experiment", experiment.name())
                .put("question", experiment.question())
                .put("scale", setup.scale().label())
                .put("command", order.command())
                .put("date", now())
                .put("machines", strings(machines))
                .put("rows", PartStore.rows(rows))
                .put("left", strings(left))
                .put("missing", strings(missing))
                .build();
        AtomicFile.writeString(file, JsonText.pretty(json) + "\n");
    }

    private static JsonArray strings(List<String> texts) {
        return new JsonArray(texts.stream().<JsonValue>map(JsonString::new).toList());
    }

    private void writeTables(Findings findings, List<String> missing) {
        List<String> lines = new ArrayList<>();
        findings.tables().forEach(table -> {
            lines.addAll(table.toMarkdown());
            lines.add("");
        });
        findings.notes().forEach(note -> lines.add("- " + note));
        missing.forEach(one -> lines.add("- not run: " + one));
        AtomicFile.writeString(order.out().resolve("tables.md"), String.join("\n", lines) + "\n");
    }
}
