package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.data.Corpus;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.tasks.Passkey;
import org.mamba4j.tasks.RetrievalReport;
import org.mamba4j.tasks.RetrievalResult;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Both passkey tasks: they differ in how many keys a text states. */
abstract class PasskeyCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "PATH",
            description = "Text to hide keys in: a file, a folder, a glob or a zip; ARCHIVE.zip!GLOB takes a part of"
                    + " a zip. It should not be what the model was trained on.")
    private String data = "";

    @Option(
            names = "--lengths",
            paramLabel = "LIST",
            defaultValue = "1k,4k,16k",
            description = "Tokens read before the answer; 1k is 1,000 (default: ${DEFAULT-VALUE}).")
    private String lengths = "";

    @Option(
            names = "--depths",
            paramLabel = "LIST",
            defaultValue = "0,0.25,0.5,0.75,1",
            description = "Where the key stands: 0 at the beginning, 1 at the end (default: ${DEFAULT-VALUE}).")
    private String depths = "";

    @Option(
            names = "--trials",
            paramLabel = "N",
            defaultValue = "20",
            description = "Questions for each length and depth (default: ${DEFAULT-VALUE}).")
    private int trials;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "What texts, keys and places are drawn from (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--json",
            paramLabel = "FILE",
            description = "Where the figures go; the map is drawn beside it as .png (default: a file in eval in the"
                    + " model's folder).")
    private @Nullable Path json;

    private final String task;

    PasskeyCommand(String task) {
        this.task = task;
    }

    /** Keys that a text states. */
    abstract int keys();

    @Override
    public void run() {
        Passkey.Grid grid = new Passkey.Grid(Lengths.parseList(lengths), parseDepths(depths), trials, keys(), seed);
        Tokenizer tokenizer = model.tokenizer();
        RetrievalReport report =
                RetrievalReport.at(json == null ? model.evaluations().resolve(task + ".json") : json);
        Filler text = read(Corpus.of(data), tokenizer);
        RetrievalResult result;
        try (LanguageModel opened = model.open();
                StatusLine status = new StatusLine(task)) {
            result = new Passkey(opened, tokenizer).measure(grid, text, status::show);
        }
        table(result).lines().forEach(System.out::println);
        System.out.println("all five digits right, of " + trials + " trials a cell, " + keys() + " key"
                + (keys() == 1 ? "" : "s, one asked for") + ", seed " + seed);
        report.write(result, task + ", " + data);
        System.err.println(Terminal.STDERR.dim("written: " + report.json() + ", " + report.png()));
    }

    private static List<Double> parseDepths(String text) {
        List<Double> all = new ArrayList<>();
        for (String part : text.split(",", -1)) {
            try {
                all.add(Double.valueOf(part.strip()));
            } catch (NumberFormatException e) {
                throw new UserError("--depths " + text + ": '" + part + "' is not a number from 0 to 1", e);
            }
        }
        return all;
    }

    /** All documents, one after the other. */
    private static Filler read(Corpus corpus, Tokenizer tokenizer) {
        List<int[]> documents = new ArrayList<>();
        corpus.forEach(document -> documents.add(tokenizer.encode(document.bytes())));
        int[] all = new int
                [Math.toIntExact(documents.stream().mapToLong(d -> d.length).sum())];
        int at = 0;
        for (int[] document : documents) {
            System.arraycopy(document, 0, all, at, document.length);
            at += document.length;
        }
        return Filler.of(all);
    }

    private static Table table(RetrievalResult result) {
        List<Double> depths = result.depths();
        Table table = new Table("r".repeat(depths.size() + 2));
        List<String> head = new ArrayList<>(List.of("tokens read"));
        depths.forEach(depth -> head.add("depth " + String.format(Locale.ROOT, "%.2f", depth)));
        head.add("all");
        table.row(head.toArray(String[]::new));
        for (int length : result.lengths()) {
            String[] row = new String[head.size()];
            Arrays.fill(row, "");
            row[0] = String.format(Locale.ROOT, "%,d", length);
            for (RetrievalResult.Cell cell : result.cells()) {
                if (cell.length() == length) {
                    row[1 + depths.indexOf(cell.depth())] = cell.correct() + "/" + cell.trials();
                }
            }
            row[row.length - 1] = String.format(
                    Locale.ROOT, "%.1f %%", 100 * result.atLength(length).accuracy());
            table.row(row);
        }
        return table;
    }

    @Command(
            name = "passkey",
            description = {
                "Hide a key of five digits in long texts and ask for it at the end.",
                "",
                "Only a model that was trained on such questions can answer them."
            })
    static final class One extends PasskeyCommand {
        One() {
            super("passkey");
        }

        @Override
        int keys() {
            return 1;
        }
    }

    @Command(
            name = "multi-key",
            description = {
                "Hide keys of several names in long texts and ask for one of them at the end.",
                "",
                "Only a model that was trained on such questions can answer them."
            })
    static final class Several extends PasskeyCommand {
        @Option(
                names = "--keys",
                paramLabel = "N",
                defaultValue = "4",
                description = "Keys in a text (default: ${DEFAULT-VALUE}).")
        private int keys;

        Several() {
            super("multi-key");
        }

        @Override
        int keys() {
            return keys;
        }
    }
}
