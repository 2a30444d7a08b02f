package org.mamba4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.inference.Generation;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.Generator;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.inference.State;
import org.mamba4j.tasks.ModelPerplexity;
import org.mamba4j.tasks.Perplexity;
import org.mamba4j.tasks.PerplexityReport;
import org.mamba4j.tasks.PerplexityResult;
import org.mamba4j.tasks.Subject;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.train.Metrics;
import org.mamba4j.torch.train.TrainConfig;
import org.mamba4j.torch.train.TrainResult;
import org.mamba4j.torch.train.Trainer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "demo",
        description = {
            "See a trained MemMamba find a key in a long text; then train a small Mamba on this machine in a few minutes, sample from it and measure it.",
            "",
            "The run, the measurements and a report go to the output folder. Run again, it goes on where it stopped."
        })
final class DemoCommand implements Runnable {
    private static final String RECIPE = "recipes/demo.yaml";
    private static final String PROMPT = "    /**\n     * Returns ";
    private static final int SCORED = 100;
    private static final GenerationOptions SAMPLE = GenerationOptions.DEFAULTS
            .withMaxNewTokens(400)
            // Colder, or with top-p, every third text of a model this small is lost in blanks, of which Java sources
            // have many.
            .withSampling(SamplingOptions.DEFAULTS.withTemperature(0.8).withSeed(1));

    @Option(
            names = "--data",
            paramLabel = "PATH",
            description = "Text to learn: a file, a folder, a glob or a zip (default: the JDK's own sources).")
    private @Nullable String data;

    @Option(
            names = "--output",
            paramLabel = "DIR",
            defaultValue = "runs/demo",
            description = "Folder for everything (default: ${DEFAULT-VALUE}).")
    private Path output = Path.of("");

    @Option(names = "--fresh", description = "Delete what an earlier demo left there (default: go on with it).")
    private boolean fresh;

    @Option(
            names = "--set",
            paramLabel = "key=value",
            description = "Replace a value of the recipe, " + RECIPE + "; may be given several times.")
    private List<String> overrides = new ArrayList<>();

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "What the hidden key and its place are drawn from (default: another one each time).")
    private @Nullable Long seed;

    @Option(names = "--skip-search", description = "Begin with the training (default: look for a hidden key first).")
    private boolean skipSearch;

    @Override
    public void run() {
        long start = System.nanoTime();
        DemoCorpus corpus = data == null ? DemoCorpus.find() : DemoCorpus.named(data);
        TrainConfig config = config(corpus);
        title("mamba4j demo", "a byte-level Mamba, trained, sampled and measured on this machine");
        DemoWindows windows = DemoWindows.of(config); // takes seconds
        if (fresh) {
            EarlierRun.delete(output);
        }
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("text", corpus.description());
        facts.put("machine", ThisMachine.describe());
        facts.put("version", String.join("", new RootCommand.Version().getVersion()));
        if (!windows.note().isEmpty()) {
            facts.put("note", windows.note());
        }
        facts.forEach(DemoCommand::fact);
        Optional<KeySearch.Outcome> search = skipSearch ? Optional.empty() : findKey(corpus);
        search.ifPresent(outcome -> facts.put("hidden key", outcome.summary()));

        boolean begun = Files.exists(output.resolve(EarlierRun.CONFIG));
        title(
                "1/4 train",
                begun ? "goes on in " + output + "; --fresh starts anew" : "Ctrl-C saves; the same command goes on");
        TrainResult trained = train(config);
        if (!trained.finished()) {
            return;
        }
        Tokenizer tokenizer = Tokenizers.load(trained.bestCheckpoint());
        try (LanguageModel model =
                Engine.TORCH.open(ModelChoice.of(trained.bestCheckpoint(), Notes.ON), "cpu", Precision.FLOAT32)) {
            SamplingOptions how = SAMPLE.sampling();
            title("2/4 sample", "temperature " + how.temperature() + ", seed " + how.seed());
            Generation sample = sample(model, tokenizer);
            title("3/4 perplexity", "does it predict better when it has read more?");
            PerplexityResult perplexity = perplexity(model, tokenizer, windows);
            facts.put(
                    "parameters",
                    String.format(Locale.ROOT, "%,d", model.config().parameterCount()));
            facts.put(
                    "state",
                    String.format(
                            Locale.ROOT,
                            "%,d bytes per sequence, however long",
                            model.config().stateBytes()));
            facts.put("seed", Long.toString(config.seed()));
            facts.put("data", corpus.location());
            report(start, corpus, config, trained, perplexity, sample, facts);
        }
    }

    /** What the model that comes with the project can do; nothing if it is not there, or damaged. */
    private Optional<KeySearch.Outcome> findKey(DemoCorpus corpus) {
        Optional<Path> shipped = ShippedModel.find();
        if (shipped.isEmpty()) {
            System.out.println(Terminal.STDOUT.dim(
                    "no trained model in " + ShippedModel.FOLDER + ": the search for a hidden key is left out"));
            return Optional.empty();
        }
        title("0/4 find", "a key of five digits, hidden in a long text");
        try {
            long drawn = seed == null ? System.nanoTime() % 1_000_000 : seed;
            return Optional.of(new KeySearch(shipped.get(), corpus, drawn).run());
        } catch (UserError e) {
            System.out.println("left out: " + e.getMessage()); // the rest of the demo needs neither
            return Optional.empty();
        }
    }

    private TrainConfig config(DemoCorpus corpus) {
        Path recipe = Path.of(System.getProperty("mamba4j.home", "")).resolve(RECIPE);
        List<String> all = new ArrayList<>();
        all.add("out=" + output);
        all.add("data.path=" + corpus.location());
        for (String override : overrides) {
            if (override.strip().startsWith("out=")) {
                throw new UserError("--set " + override + ": the demo's folder is given with --output DIR");
            }
            if (override.strip().startsWith("data.path=")) {
                throw new UserError("--set " + override + ": the demo's text is given with --data PATH");
            }
            all.add(override);
        }
        return TrainConfig.load(recipe, all);
    }

    /** The trainer names its own options as remedies; here they have other names. */
    private static TrainResult train(TrainConfig config) {
        try {
            return Trainer.resume(config, TrainCommand.progressLine());
        } catch (UserError e) {
            String message = String.valueOf(e.getMessage())
                    .replace(
                            "start a new run with --set out=FOLDER",
                            "start anew with --fresh, which deletes that run, or in another folder with --output DIR")
                    .replace("--set out=FOLDER", "--output DIR")
                    .replace("continue with --resume", "run the demo again");
            throw new UserError(message, e);
        }
    }

    private static Generation sample(LanguageModel model, Tokenizer tokenizer) {
        System.out.print(Terminal.STDOUT.dim(PROMPT));
        try (State state = model.newState()) {
            Generation sample = new Generator(model, tokenizer).generate(state, PROMPT, SAMPLE, piece -> {
                System.out.print(piece);
                System.out.flush();
            });
            System.out.println();
            System.out.println(Terminal.STDOUT.dim(GenerateCommand.summary(sample, SAMPLE)));
            return sample;
        }
    }

    private static PerplexityResult perplexity(LanguageModel model, Tokenizer tokenizer, DemoWindows windows) {
        PerplexityResult result;
        try (StatusLine status = new StatusLine("perplexity")) {
            result = new Perplexity(new Subject(model, tokenizer, 1))
                    .measure(windows.lengths(), SCORED, windows.windows(), status::show);
        }
        PerplexityCommand.table(result).lines().forEach(System.out::println);
        System.out.println(Terminal.STDOUT.dim(PerplexityCommand.note(result)));
        return result;
    }

    private void report(
            long start,
            DemoCorpus corpus,
            TrainConfig config,
            TrainResult trained,
            PerplexityResult perplexity,
            Generation sample,
            Map<String, String> facts) {
        List<String> commands = List.of(
                "./mamba4j generate --model " + output + " --prompt 'public static ' --temperature 0.8",
                "./mamba4j eval perplexity --model " + output + " --data '" + corpus.unseen() + "' --lengths 256,1k,4k",
                "./mamba4j inspect " + output,
                "./mamba4j demo --output " + output + (data == null ? "" : " --data '" + data + "'")
                        + " --fresh --set schedule.minutes=30");
        PerplexityReport.in(output).write(List.of(new ModelPerplexity("demo", perplexity)));
        Path page = output.resolve(EarlierRun.REPORT);
        DemoReport report = new DemoReport(
                trained, Metrics.of(output), perplexity, PROMPT, sample, facts, config.toYaml(), commands);
        AtomicFile.writeString(page, report.toHtml());

        title("4/4 report", page.toString());
        new Table("ll")
                .row("validation loss", String.format(Locale.ROOT, "%.3f bits per byte", trained.validBitsPerByte()))
                .row("parameters", facts.getOrDefault("parameters", ""))
                .row(
                        "trained",
                        String.format(
                                Locale.ROOT,
                                "%,d tokens in %s",
                                trained.tokens(),
                                DemoReport.duration(trained.seconds())))
                .row("in all", DemoReport.duration((System.nanoTime() - start) * 1e-9))
                .lines()
                .forEach(System.out::println);
        System.out.println();
        System.out.println(Terminal.STDOUT.bold("go on with"));
        commands.forEach(command -> System.out.println("  " + command));
    }

    /** A label and its text, on as many lines as the text needs. */
    static void fact(String label, String text) {
        int indent = 9;
        int width = Math.max(20, Terminal.STDOUT.columns() - indent - 1);
        StringBuilder line = new StringBuilder(String.format(Locale.ROOT, "%-8s", label));
        int used = 0;
        for (String word : text.split(" ")) {
            if (used > 0 && used + 1 + word.length() > width) {
                line.append(System.lineSeparator()).append(" ".repeat(indent - 1));
                used = 0;
            }
            line.append(' ').append(word);
            used += word.length() + 1;
        }
        System.out.println(line);
    }

    private static void title(String title, String subtitle) {
        System.out.println();
        System.out.println(Terminal.STDOUT.bold(title) + "  " + Terminal.STDOUT.dim(subtitle));
    }
}
