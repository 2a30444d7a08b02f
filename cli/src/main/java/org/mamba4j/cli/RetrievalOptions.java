package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.data.Corpus;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.RetrievalReport;
import org.mamba4j.tasks.RetrievalResult;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What all tasks have in common that ask for something hidden. */
final class RetrievalOptions {
    @Option(
            names = "--depths",
            paramLabel = "LIST",
            defaultValue = "0,0.25,0.5,0.75,1",
            description = "Where it stands: 0 at the beginning, 1 at the end (default: ${DEFAULT-VALUE}).")
    private String depths = "";

    @Option(
            names = "--trials",
            paramLabel = "N",
            defaultValue = "20",
            description = "Questions for each size and depth (default: ${DEFAULT-VALUE}).")
    private int trials;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "What texts, questions and places are drawn from (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--json",
            paramLabel = "FILE",
            description = "Where the figures go; the map is drawn beside it as .png (default: a file in eval in the"
                    + " model's folder).")
    private @Nullable Path json;

    @Mixin
    private final ReaderOptions readers = new ReaderOptions();

    ReaderOptions readers() {
        return readers;
    }

    int trials() {
        return trials;
    }

    long seed() {
        return seed;
    }

    List<Double> depths() {
        List<Double> all = new ArrayList<>();
        for (String part : depths.split(",", -1)) {
            try {
                all.add(Double.valueOf(part.strip()));
            } catch (NumberFormatException e) {
                throw new UserError("--depths " + depths + ": '" + part + "' is not a number from 0 to 1", e);
            }
        }
        return all;
    }

    RetrievalReport report(ModelOptions model, String task) {
        return RetrievalReport.at(json == null ? model.evaluations().resolve(task + ".json") : json);
    }

    /** All documents of a corpus, one after the other. */
    static Filler text(String path, Tokenizer tokenizer) {
        List<int[]> documents = new ArrayList<>();
        Corpus.of(path).forEach(document -> documents.add(tokenizer.encode(document.bytes())));
        int[] all = new int
                [Math.toIntExact(documents.stream().mapToLong(d -> d.length).sum())];
        int at = 0;
        for (int[] document : documents) {
            System.arraycopy(document, 0, all, at, document.length);
            at += document.length;
        }
        return Filler.of(all);
    }

    /** Prints the table and a line below it. */
    void show(RetrievalResult result, String what) {
        table(result).lines().forEach(System.out::println);
        System.out.println(what + ", seed " + seed);
    }

    private static Table table(RetrievalResult result) {
        List<Double> columns = result.depths();
        Table table = new Table("r".repeat(columns.size() + 3));
        List<String> head = new ArrayList<>(List.of(result.isOfDocuments() ? "documents" : "tokens read"));
        columns.forEach(depth -> head.add("depth " + String.format(Locale.ROOT, "%.2f", depth)));
        head.add("all");
        head.add("95 % interval");
        table.row(head.toArray(String[]::new));
        for (int size : result.sizes()) {
            String[] row = new String[head.size()];
            Arrays.fill(row, "");
            row[0] = String.format(Locale.ROOT, "%,d", size);
            for (RetrievalResult.Cell cell : result.cells()) {
                if (cell.size() == size) {
                    row[1 + columns.indexOf(cell.depth())] = cell.correct() + "/" + cell.trials();
                }
            }
            Estimate all = result.atSize(size).estimate();
            row[row.length - 2] = String.format(Locale.ROOT, "%.1f %%", 100 * all.value());
            row[row.length - 1] = String.format(Locale.ROOT, "%.1f – %.1f %%", 100 * all.low(), 100 * all.high());
            table.row(row);
        }
        return table;
    }
}
