package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.mamba4j.torch.bench.CoreOperation;

/**
 * Speed and memory [1, figure 8 and table 15]: the operation that mixes tokens, by length; generation, by batch; training,
 * by batch; reading, by length.
 *
 * <p>How fair it is. The operations are recorded as a graph on a GPU, so none is charged for its launches; the composed scan
 * is the work-efficient one and computes in bfloat16. A Mamba generates with this project's own kernels as one graph. The
 * Transformer++ generates with libtorch's operations, FlashAttention and a key-value cache laid out beforehand, launched one
 * by one: at small batches it waits for launches, as the paper's did (Hugging Face's), and a better implementation would
 * be faster there; at its best batch it waits for the cache to be read, which no implementation avoids. LSTM and GRU are
 * cuDNN's.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.5, appendices D and E.5.
 */
final class EfficiencyExperiment implements Experiment {
    static final String NAME = "efficiency";
    private static final List<String> PAPER_TRANSFORMER = List.of("4.6", "5.2", "6.9", "11.5", "20.7", "34.5");
    private static final List<String> PAPER_MAMBA = List.of("4.8", "5.8", "7.3", "12.3", "23.1", "38.2");

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String question() {
        return "How fast are scan and attention, how fast do the models generate, train and read, and in how much memory?";
    }

    @Override
    public List<Part> parts(Setup setup) {
        return new EfficiencyParts(setup).all();
    }

    @Override
    public Findings findings(Results results, Setup setup) {
        EfficiencyParts parts = new EfficiencyParts(setup);
        List<String> powers = IntStream.rangeClosed(9, parts.longestPower())
                .mapToObj(power -> "2^" + power)
                .toList();
        List<String> batches =
                parts.batches().stream().map(batch -> "batch " + batch).toList();
        List<String> trained =
                parts.trainedBatches().stream().map(batch -> "train " + batch).toList();
        List<String> lengths =
                parts.lengths().stream().map(length -> "read " + length).toList();
        List<ResultTable> tables = new ArrayList<>();
        tables.add(operations(results, powers, parts));
        tables.add(table(
                "Generation: tokens per second, prompt " + parts.prompt() + ", " + parts.generated() + " new",
                results,
                batches,
                EfficiencyParts.RATE,
                0,
                "Batch × new tokens / whole time, prompt included. Paper (A100, 16-bit): Mamba-1.4B 1,688 at batch 64 and"
                        + " 1,814 at 128, Transformer-1.3B 364 at its last batch before memory ends (as secondary"
                        + " sources read the figure); 4 to 5 times the Transformer's throughput."));
        tables.add(memory(results, trained));
        tables.add(table(
                "Training: tokens per second, length " + parts.trainedLength(),
                results,
                trained,
                EfficiencyParts.TRAINING,
                0,
                "Whole steps: gradients, clipping, update."));
        tables.add(
                table(
                        "Latency: seconds to read a text and tell the next token",
                        results,
                        lengths,
                        EfficiencyParts.LATENCY,
                        4,
                        "One sequence; Mamba, LSTM and GRU in pieces that meet in the state, the others as their model allows."));
        tables.removeIf(table -> table.rows().isEmpty());
        return new Findings(
                tables,
                List.of(
                        chart(
                                "operations",
                                "Mixing tokens, forward",
                                "tokens",
                                "ms",
                                results,
                                powers,
                                EfficiencyParts.MILLISECONDS),
                        chart(
                                "generation",
                                "Generation",
                                "batch",
                                "tokens per second",
                                results,
                                batches,
                                EfficiencyParts.RATE),
                        chart(
                                "latency",
                                "Reading a text",
                                "tokens",
                                "seconds",
                                results,
                                lengths,
                                EfficiencyParts.LATENCY)),
                notes(results, powers, batches, lengths));
    }

    private static ResultTable operations(Results results, List<String> powers, EfficiencyParts parts) {
        ResultTable times = table(
                "The operation alone, forward: milliseconds",
                results,
                powers,
                EfficiencyParts.MILLISECONDS,
                3,
                "Batch 1, D = " + parts.channels() + ", N = 16; bfloat16 on a GPU (transforms float32). Empty: out of"
                        + " memory. The paper claims the scan faster than FlashAttention-2 beyond 2K, up to 7 times at"
                        + " 32K, and 20 to 40 times faster than the composed scan (A100; a figure without numbers).");
        List<List<String>> rows = new ArrayList<>(times.rows());
        for (CoreOperation other : CoreOperation.values()) {
            if (!rows.isEmpty() && other != CoreOperation.FUSED_SCAN) {
                List<String> row = new ArrayList<>(List.of(other.label() + " / fused scan"));
                powers.forEach(power -> row.add(ResultTable.number(
                        ratio(
                                results,
                                other.label(),
                                CoreOperation.FUSED_SCAN.label(),
                                power,
                                EfficiencyParts.MILLISECONDS),
                        2)));
                rows.add(row);
            }
        }
        return new ResultTable(times.title(), times.columns(), rows, times.caption());
    }

    private static ResultTable memory(Results results, List<String> settings) {
        ResultTable ours = table(
                "Training memory: GB",
                results,
                settings,
                EfficiencyParts.MEMORY,
                1,
                "All memory that training holds, weights and optimiser included. Paper: 125M, L 2048, one A100 80GB, Transformer"
                        + " with FlashAttention-2 and torch.compile.");
        List<List<String>> rows = new ArrayList<>(ours.rows());
        if (!rows.isEmpty() && settings.size() == PAPER_MAMBA.size()) {
            rows.add(published("paper: Mamba", PAPER_MAMBA));
            rows.add(published("paper: Transformer", PAPER_TRANSFORMER));
        }
        return new ResultTable(ours.title(), ours.columns(), rows, ours.caption());
    }

    private static List<String> published(String name, List<String> cells) {
        List<String> row = new ArrayList<>(List.of(name));
        row.addAll(cells);
        return row;
    }

    /** A row for each model that has a figure. */
    private static ResultTable table(
            String title, Results results, List<String> settings, String metric, int digits, String caption) {
        List<String> columns = new ArrayList<>(List.of(""));
        columns.addAll(settings);
        List<List<String>> rows = new ArrayList<>();
        for (String model : results.models()) {
            if (settings.stream().anyMatch(setting -> results.values(model, setting, metric).length > 0)) {
                List<String> row = new ArrayList<>(List.of(model));
                settings.forEach(
                        setting -> row.add(ResultTable.number(value(results, model, setting, metric), digits)));
                rows.add(row);
            }
        }
        return new ResultTable(title, columns, rows, caption);
    }

    /** NaN where there is none. */
    private static double value(Results results, String model, String setting, String metric) {
        double[] values = results.values(model, setting, metric);
        return values.length == 0 ? Double.NaN : values[0];
    }

    private static double ratio(Results results, String above, String below, String setting, String metric) {
        return value(results, above, setting, metric) / value(results, below, setting, metric);
    }

    private static LineChart chart(
            String file, String title, String x, String y, Results results, List<String> settings, String metric) {
        return new LineChart(
                NAME + "-" + file,
                title,
                new LineChart.Axis(x, true),
                new LineChart.Axis(y, true),
                results.models().stream()
                        .map(model -> LineChart.Series.of(
                                model,
                                settings.stream()
                                        .filter(setting -> results.values(model, setting, metric).length > 0)
                                        .map(setting -> LineChart.Point.of(
                                                number(setting), value(results, model, setting, metric)))
                                        .toList()))
                        .toList());
    }

    /** {@code 2^9}, {@code batch 4}, {@code read 1000}. */
    private static double number(String setting) {
        return setting.startsWith("2^")
                ? 1 << Integer.parseInt(setting.substring(2))
                : Double.parseDouble(setting.substring(setting.indexOf(' ') + 1));
    }

    private static List<String> notes(
            Results results, List<String> powers, List<String> batches, List<String> lengths) {
        List<String> notes = new ArrayList<>();
        powers.stream()
                .filter(power -> ratio(
                                results,
                                CoreOperation.ATTENTION.label(),
                                CoreOperation.FUSED_SCAN.label(),
                                power,
                                EfficiencyParts.MILLISECONDS)
                        > 1)
                .findFirst()
                .ifPresent(power -> notes.add("The fused scan is faster than attention from " + power + " tokens on."));
        double mamba = best(results, "Mamba", batches);
        double transformer = best(results, "Transformer++", batches);
        if (mamba > 0 && transformer > 0) {
            notes.add(String.format(
                    Locale.ROOT,
                    "At the best batch of each, Mamba generates %.1f times as many tokens per second as Transformer++.",
                    mamba / transformer));
        }
        for (String model : List.of("Mamba", "MemMamba")) {
            for (String length : lengths) {
                double share = ratio(results, model, "Transformer++", length, EfficiencyParts.LATENCY);
                if (share > 0) {
                    notes.add(String.format(
                            Locale.ROOT, "%s, %s: %.2f of Transformer++'s latency.", model, length, share));
                }
            }
        }
        return notes;
    }

    private static double best(Results results, String model, List<String> batches) {
        return batches.stream()
                .mapToDouble(batch -> value(results, model, batch, EfficiencyParts.RATE))
                .filter(Double::isFinite)
                .max()
                .orElse(0);
    }
}
