package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.MambaConfig;
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
            "The loss is printed too: on one batch again and again it must fall, or the steps were none."
        },
        footer = {"", "Example:  ./mamba4j bench train --device cuda --precision bfloat16 --batch 8 --length 2048"})
final class BenchTrainCommand implements Callable<Integer> {
    private static final double GIGA = 1e9;

    @Option(names = "--device", paramLabel = "cpu|cuda|cuda:N", description = "Where (default: ${DEFAULT-VALUE}).")
    private String device = "cpu";

    @Option(
            names = "--precision",
            paramLabel = "float32|bfloat16",
            description = "Of activations (default: ${DEFAULT-VALUE}).")
    private String precision = "float32";

    @Option(
            names = "--width",
            paramLabel = "D",
            description = "Width of the residual stream (default: ${DEFAULT-VALUE}).")
    private int width = 768;

    @Option(names = "--layers", paramLabel = "N", description = "Of the model (default: ${DEFAULT-VALUE}).")
    private int layers = 24;

    @Option(names = "--vocabulary", paramLabel = "V", description = "Token ids (default: ${DEFAULT-VALUE}).")
    private int vocabulary = 50_280;

    @Option(
            names = "--batch",
            paramLabel = "B",
            description = "Sequences of a step, in each process (default: ${DEFAULT-VALUE}).")
    private int batch = 8;

    @Option(names = "--length", paramLabel = "L", description = "Tokens of a sequence (default: ${DEFAULT-VALUE}).")
    private int length = 2048;

    @Option(names = "--recompute", description = "Run layers forward again on the way back, to save memory.")
    private boolean recompute;

    @Option(
            names = "--warm-up",
            paramLabel = "N",
            description = "Steps before the clock starts (default: ${DEFAULT-VALUE}).")
    private int warmUp = 4;

    @Option(names = "--steps", paramLabel = "N", description = "Steps that are measured (default: ${DEFAULT-VALUE}).")
    private int steps = 12;

    @Option(names = "--json", paramLabel = "FILE", description = "Write the figures there too (default: nowhere).")
    private @Nullable Path json;

    @Mixin
    private final RankOptions processes = new RankOptions();

    @Override
    public Integer call() {
        return processes.run(device, ranks -> {}, this::measure);
    }

    private void measure(Ranks ranks) {
        MambaConfig model = MambaConfig.builder()
                .vocabSize(vocabulary)
                .dModel(width)
                .nLayer(layers)
                .build();
        List<String> settings = List.of(
                "device=" + device,
                "precision=" + precision,
                "recompute=" + recompute,
                "data.batch=" + batch,
                "optimiser.accumulate=" + ranks.size(), // a batch for each process
                "data.length=" + length);
        TrainingBenchmark.Result result = TrainingBenchmark.run(model, settings, ranks, warmUp, Math.max(1, steps));
        new Table("lr")
                .row("parameters", String.format(Locale.ROOT, "%,d", result.parameters()))
                .row("processes", Integer.toString(ranks.size()))
                .row("tokens a step", String.format(Locale.ROOT, "%,d", result.tokensPerStep()))
                .row("median step", milliseconds(result.medianSeconds()))
                .row("least step", milliseconds(result.leastSeconds()))
                .row("tokens/s", String.format(Locale.ROOT, "%,.0f", result.tokensPerSecond()))
                .row("GPU memory", String.format(Locale.ROOT, "%.2f GB", result.deviceBytes() / GIGA))
                .row("loss", String.format(Locale.ROOT, "%.4f to %.4f", result.firstLoss(), result.lastLoss()))
                .lines()
                .forEach(System.out::println);
        if (json != null && ranks.isFirst()) {
            AtomicFile.writeString(json, JsonText.pretty(report(result, ranks.size())) + "\n");
        }
    }

    private JsonObject report(TrainingBenchmark.Result result, int ranks) {
        return JsonObject.builder()
                .put("device", device)
                .put("processes", ranks)
                .put("precision", precision)
                .put("width", width)
                .put("layers", layers)
                .put("vocabulary", vocabulary)
                .put("batch", batch)
                .put("length", length)
                .put("recompute", recompute)
                .put("parameters", result.parameters())
                .put("median_step_seconds", result.medianSeconds())
                .put("tokens_per_second", result.tokensPerSecond())
                .put("device_bytes", result.deviceBytes())
                .put("first_loss", result.firstLoss())
                .put("last_loss", result.lastLoss())
                .build();
    }

    private static String milliseconds(double seconds) {
        return String.format(Locale.ROOT, "%.2f ms", seconds * 1e3);
    }
}
