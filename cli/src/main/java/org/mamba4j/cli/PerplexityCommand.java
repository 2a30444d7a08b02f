package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.Document;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.tasks.EvaluationWindows;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.tasks.ModelPerplexity;
import org.mamba4j.tasks.Perplexity;
import org.mamba4j.tasks.PerplexityReport;
import org.mamba4j.tasks.PerplexityResult;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "perplexity",
        description = {
            "Measure perplexity by context length.",
            "",
            "The same last tokens of every window are scored at each length; only how much the model reads before them differs."
        },
        footer = {"", "Example:", "  ./mamba4j eval perplexity --model runs/demo --data 'docs/*.md' --lengths 2k"})
final class PerplexityCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "PATH",
            description = "Text: a file, a folder, a glob or a zip; ARCHIVE.zip!GLOB takes a part of a zip.")
    private String data = "";

    @Option(
            names = "--lengths",
            paramLabel = "LIST",
            defaultValue = "256,1k,4k",
            description =
                    "Context lengths in tokens, the scored ones included; 1k is 1,000 (default: ${DEFAULT-VALUE}).")
    private String lengths = "";

    @Option(
            names = "--scored",
            paramLabel = "N",
            defaultValue = "100",
            description = "How many tokens at the end of each window are scored (default: ${DEFAULT-VALUE}).")
    private int scored;

    @Option(
            names = "--windows",
            paramLabel = "N",
            defaultValue = "32",
            description =
                    "How many windows, spread over the documents that are long enough (default: ${DEFAULT-VALUE}).")
    private int windows;

    @Option(
            names = "--output",
            paramLabel = "DIR",
            description = "Folder for perplexity.json and perplexity.png (default: eval in the model's folder).")
    private @Nullable Path output;

    @Option(
            names = "--json",
            paramLabel = "FILE",
            description =
                    "Where the figures go; the chart is drawn beside it as .png (default: perplexity.json in --output).")
    private @Nullable Path json;

    @Option(
            names = "--compare",
            paramLabel = "LIST",
            split = ",",
            description = "Other models of the same tokenizer to measure on the same windows: " + ModelChoice.SYNTAX
                    + " (default: none).")
    private List<String> compare = List.of();

    @Mixin
    private final ReaderOptions readers = new ReaderOptions();

    @Override
    public void run() {
        List<Integer> wanted = Lengths.parseList(lengths);
        int longest = wanted.stream().mapToInt(Integer::intValue).max().orElseThrow();
        Tokenizer tokenizer = model.tokenizer();
        List<ModelChoice> models = models(tokenizer);
        PerplexityReport report = report();
        EvaluationWindows.Picked picked =
                EvaluationWindows.pick(data, documents(Corpus.of(data), tokenizer), longest, windows);
        List<ModelPerplexity> all = new ArrayList<>();
        for (ModelChoice one : models) {
            try (LanguageModel opened = model.open(one);
                    StatusLine status = new StatusLine("perplexity of " + one.name())) {
                Perplexity perplexity = new Perplexity(readers.subject(model, opened, tokenizer));
                all.add(new ModelPerplexity(
                        one.name(), perplexity.measure(wanted, scored, picked.windows(), status::show)));
            }
        }
        PerplexityResult first = all.getFirst().result();
        (all.size() == 1 ? table(first) : table(all)).lines().forEach(System.out::println);
        System.out.println(note(first) + "; compared window by window");
        leftOut(picked, longest).forEach(System.out::println);
        report.write(all);
        System.err.println(Terminal.STDERR.dim("written: " + report.json() + ", " + report.png()));
    }

    private List<ModelChoice> models(Tokenizer tokenizer) {
        List<ModelChoice> models = new ArrayList<>(List.of(model.choice()));
        for (String other : compare) {
            ModelChoice choice = ModelChoice.parse(other);
            choice.checkTokenizer(tokenizer);
            models.add(choice);
        }
        return models;
    }

    private PerplexityReport report() {
        if (json == null) {
            return PerplexityReport.in(output == null ? model.evaluations() : output);
        }
        if (output != null) {
            throw new UserError("--output and --json exclude each other: give only one");
        }
        return PerplexityReport.at(json);
    }

    private static EvaluationWindows.Documents documents(Corpus corpus, Tokenizer tokenizer) {
        return new EvaluationWindows.Documents() {
            @Override
            public void forEach(Consumer<EvaluationWindows.Tokens> reader) {
                corpus.forEach(document -> reader.accept(tokens(document, tokenizer)));
            }
        };
    }

    private static EvaluationWindows.Tokens tokens(Document document, Tokenizer tokenizer) {
        return new EvaluationWindows.Tokens() {
            @Override
            public String name() {
                return document.name();
            }

            @Override
            public int[] read() {
                return tokenizer.encode(document.bytes());
            }
        };
    }

    static Table table(PerplexityResult result) {
        Table table = new Table("rrrrrr");
        table.row("context", "perplexity", "95 % interval", "against first length", "bits/byte", "tokens/s");
        for (PerplexityResult.AtLength at : result.lengths()) {
            table.row(
                    String.format(Locale.ROOT, "%,d", at.length()),
                    number(at.perplexity().value()),
                    interval(at.perplexity()),
                    change(at, result.lengths().getFirst()),
                    number(at.bitsPerByte().value()),
                    String.format(Locale.ROOT, "%,.0f", at.tokensPerSecond()));
        }
        return table;
    }

    /** One row for each model and length. */
    private static Table table(List<ModelPerplexity> models) {
        Table table = new Table("lrrrrrr");
        table.row(
                "model",
                "context",
                "perplexity",
                "95 % interval",
                "against first length",
                "against first model",
                "tokens/s");
        for (ModelPerplexity model : models) {
            List<PerplexityResult.AtLength> lengths = model.result().lengths();
            for (int i = 0; i < lengths.size(); i++) {
                PerplexityResult.AtLength at = lengths.get(i);
                table.row(
                        i == 0 ? model.model() : "",
                        String.format(Locale.ROOT, "%,d", at.length()),
                        number(at.perplexity().value()),
                        interval(at.perplexity()),
                        change(at, lengths.getFirst()),
                        change(at, models.getFirst().result().lengths().get(i)),
                        String.format(Locale.ROOT, "%,.0f", at.tokensPerSecond()));
            }
        }
        return table;
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.3f", value);
    }

    private static String interval(Estimate estimate) {
        return number(estimate.low()) + " – " + number(estimate.high());
    }

    /** By how many percent perplexity differs, window by window; nothing beside itself. */
    private static String change(PerplexityResult.AtLength at, PerplexityResult.AtLength other) {
        if (at.equals(other)) {
            return "";
        }
        Estimate ratio = at.over(other);
        return percent(ratio.value()) + " % (" + percent(ratio.low()) + ", " + percent(ratio.high()) + ")";
    }

    private static String percent(double ratio) {
        double percent = Math.round(10_000 * (ratio - 1)) / 100.0;
        return String.format(Locale.ROOT, "%+.2f", percent + 0.0); // no -0
    }

    /** A line on documents that were too short for a window; none if there were none. */
    static List<String> leftOut(EvaluationWindows.Picked picked, int longest) {
        return picked.tooShort() == 0
                ? List.of()
                : List.of(String.format(
                        Locale.ROOT,
                        "left out: %,d of %,d documents, which have fewer than %,d tokens",
                        picked.tooShort(),
                        picked.documents(),
                        longest));
    }

    static String note(PerplexityResult result) {
        return String.format(
                Locale.ROOT,
                "the same last %,d tokens of %,d windows of %,d documents at every length",
                result.scored(),
                result.windows(),
                result.documents());
    }
}
