package org.mamba4j.cli;

import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonObject;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.bench.Machine;
import org.mamba4j.torch.bench.Reference;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.train.TrainingBenchmark;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "train",
        description = {
            "Measure whole training steps of a Mamba on random tokens: batch to the device, gradients, clipping, update, loss back.",
            "",
            "The loss is printed too: on one batch again and again it must fall, or the steps were none, and the exit code is 1."
                    + " Without a shape, several rows are measured."
        },
        footer = {"", "Example:  ./mamba4j bench train --device cuda --batch 8 --length 2048"})
final class BenchTrainCommand implements Callable<Integer> {
    private static final double GIGA = 1e9;
    private static final String OF_FIRST = " (default: that of the first row).";

    @Mixin
    private BenchOptions options = new BenchOptions();

    @Option(names = "--width", paramLabel = "D", description = "Width of the residual stream" + OF_FIRST)
    private @Nullable Integer width;

    @Option(names = "--layers", paramLabel = "N", description = "Blocks of the model" + OF_FIRST)
    private @Nullable Integer layers;

    @Option(names = "--vocabulary", paramLabel = "V", description = "Different tokens" + OF_FIRST)
    private @Nullable Integer vocabulary;

    @Option(names = "--batch", paramLabel = "B", description = "Sequences of a step, in each process" + OF_FIRST)
    private @Nullable Integer batch;

    @Option(names = "--length", paramLabel = "L", description = "Tokens of a sequence" + OF_FIRST)
    private @Nullable Integer length;

    @Option(names = "--recompute", description = "Run layers forward again on the way back, to save memory.")
    private boolean recompute;

    @Option(
            names = "--warm-up",
            paramLabel = "N",
            description = "Steps before the clock starts (default: ${DEFAULT-VALUE}).")
    private int warmUp = 4;

    @Option(names = "--steps", paramLabel = "N", description = "Steps that are measured (default: ${DEFAULT-VALUE}).")
    private int steps = 12;

    @Mixin
    private final RankOptions processes = new RankOptions();

    @Override
    public Integer call() {
        return processes.run(options.device(), ranks -> {}, this::measure);
    }

    private void measure(Ranks ranks) {
        if (warmUp < 0 || steps < 1) {
            throw new UserError("--warm-up " + warmUp + ", --steps " + steps + ": at least 0 and 1");
        }
        Machine machine = options.machine();
        Precision precision = options.precision(machine);
        List<Row> rows = rows();
        BenchReport report = new BenchReport("train", options.device(), machine);
        Table table = new Table("lrrrrrrrr")
                .row("work", "parameters", "ms", "least", "tokens/s", "GPU GB", "loss", "ref", "ratio");
        for (Row row : rows) {
            TrainingBenchmark.Result result =
                    TrainingBenchmark.run(row.model(), settings(row, precision, ranks.size()), ranks, warmUp, steps);
            if (!(result.lastLoss() < result.firstLoss())) {
                throw new IllegalStateException(row + ": the loss of one batch does not fall, it goes from "
                        + result.firstLoss() + " to " + result.lastLoss());
            }
            OptionalDouble reference = ranks.size() > 1
                    ? OptionalDouble.empty() // measured on one GPU
                    : Reference.of("train " + row + " " + precision.key(), machine.name());
            table.row(
                    row.toString(),
                    decimals((double) result.parameters(), 0),
                    decimals(result.medianSeconds() * 1e3, 2),
                    decimals(result.leastSeconds() * 1e3, 2),
                    decimals(result.tokensPerSecond(), 0),
                    decimals(result.deviceBytes() / GIGA, 2),
                    decimals(result.firstLoss(), 3) + " to " + decimals(result.lastLoss(), 3),
                    reference.isPresent() ? decimals(reference.getAsDouble(), 0) : "",
                    reference.isPresent() ? decimals(result.tokensPerSecond() / reference.getAsDouble(), 2) : "");
            report.row(json(row, precision, result, reference));
        }
        table.lines().forEach(System.out::println);
        report.put("processes", ranks.size());
        if (ranks.isFirst()) {
            options.write(report);
        }
    }

    /** The one that the user describes, or several. */
    private List<Row> rows() {
        List<Row> rows = options.device().equals("cpu")
                ? List.of(new Row(128, 4, 256, 8, 256))
                : List.of(
                        new Row(768, 24, 50_280, 8, 2048),
                        new Row(768, 24, 50_280, 1, 32_768),
                        new Row(384, 24, 256, 8, 8192),
                        new Row(384, 24, 256, 1, 8192));
        if (Stream.of(width, layers, vocabulary, batch, length).allMatch(value -> value == null)) {
            return rows;
        }
        Row first = rows.getFirst();
        return List.of(new Row(
                width == null ? first.width : width,
                layers == null ? first.layers : layers,
                vocabulary == null ? first.vocabulary : vocabulary,
                batch == null ? first.batch : batch,
                length == null ? first.length : length));
    }

    private List<String> settings(Row row, Precision precision, int ranks) {
        return List.of(
                "device=" + options.device(),
                "precision=" + precision.key(),
                "recompute=" + recompute,
                "data.batch=" + row.batch,
                "optimiser.accumulate=" + ranks, // a batch for each process
                "data.length=" + row.length);
    }

    private JsonObject json(Row row, Precision precision, TrainingBenchmark.Result result, OptionalDouble reference) {
        JsonObject.Builder json = JsonObject.builder()
                .put("work", row.toString())
                .put("precision", precision.key())
                .put("recompute", recompute)
                .put("parameters", result.parameters())
                .put("tokens_per_step", result.tokensPerStep())
                .put("median_step_seconds", result.medianSeconds())
                .put("least_step_seconds", result.leastSeconds())
                .put("tokens_per_second", result.tokensPerSecond())
                .put("device_bytes", result.deviceBytes())
                .put("first_loss", result.firstLoss())
                .put("last_loss", result.lastLoss());
        if (reference.isPresent()) {
            json.put("reference_tokens_per_second", reference.getAsDouble())
                    .put("ratio", result.tokensPerSecond() / reference.getAsDouble());
        }
        return json.build();
    }

    private static String decimals(double value, int places) {
        return String.format(Locale.ROOT, "%,." + places + "f", value);
    }

    /** What is trained on what. */
    private record Row(int width, int layers, int vocabulary, int batch, int length) {
        MambaConfig model() {
            return MambaConfig.builder()
                    .vocabSize(vocabulary)
                    .dModel(width)
                    .nLayer(layers)
                    .build();
        }

        @Override
        public String toString() {
            return "d" + width + " x" + layers + " V" + vocabulary + " B" + batch + " L" + length;
        }
    }
}
