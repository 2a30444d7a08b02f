package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.Document;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.tasks.EvaluationWindows;
import org.mamba4j.tasks.Lengths;
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
        })
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

    @Override
    public void run() {
        List<Integer> wanted = Lengths.parseList(lengths);
        int longest = wanted.stream().mapToInt(Integer::intValue).max().orElseThrow();
        Tokenizer tokenizer = model.tokenizer();
        PerplexityReport report = report();
        EvaluationWindows.Picked picked =
                EvaluationWindows.pick(data, documents(Corpus.of(data), tokenizer), longest, windows);
        PerplexityResult result;
        try (LanguageModel opened = model.open();
                StatusLine status = new StatusLine("perplexity")) {
            result = new Perplexity(opened, tokenizer).measure(wanted, scored, picked.windows(), status::show);
        }
        table(result).lines().forEach(System.out::println);
        System.out.println(note(result));
        leftOut(picked, longest).forEach(System.out::println);
        report.write(result);
        System.err.println(Terminal.STDERR.dim("written: " + report.json() + ", " + report.png()));
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
        Table table = new Table("rrrrr");
        table.row("context", "perplexity", "95 % interval", "bits/byte", "tokens/s");
        for (PerplexityResult.AtLength at : result.lengths()) {
            table.row(
                    String.format(Locale.ROOT, "%,d", at.length()),
                    String.format(Locale.ROOT, "%.3f", at.perplexity().value()),
                    String.format(
                            Locale.ROOT,
                            "%.3f – %.3f",
                            at.perplexity().low(),
                            at.perplexity().high()),
                    String.format(Locale.ROOT, "%.3f", at.bitsPerByte().value()),
                    String.format(Locale.ROOT, "%,.0f", at.tokensPerSecond()));
        }
        return table;
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
                "the same last %,d tokens of %,d windows at every length",
                result.scored(),
                result.windows());
    }
}
