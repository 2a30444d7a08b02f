package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.decode.GenerationBenchmark;
import org.mamba4j.torch.kernel.Precision;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
        name = "generate",
        description = {
            "Measure generation on a GPU with random weights: prompts, then tokens, greedily or by drawing.",
            "",
            "The rate counts new tokens of all sequences over the whole time, prompts included."
        },
        footer = {"", "Example:  ./mamba4j bench generate --batch 128"})
final class BenchGenerateCommand implements Runnable {
    private static final double GIGA = 1e9;

    @Option(names = "--device", paramLabel = "cuda|cuda:N", description = "Where (default: ${DEFAULT-VALUE}).")
    private String device = "cuda";

    @Option(
            names = "--precision",
            paramLabel = "float32|bfloat16",
            description = "Of weights and activations (default: ${DEFAULT-VALUE}).")
    private String precision = "bfloat16";

    @Option(
            names = "--width",
            paramLabel = "D",
            description = "Width of the residual stream (default: ${DEFAULT-VALUE}).")
    private int width = 768;

    @Option(names = "--layers", paramLabel = "N", description = "Of the model (default: ${DEFAULT-VALUE}).")
    private int layers = 24;

    @Option(names = "--vocabulary", paramLabel = "V", description = "Different tokens (default: ${DEFAULT-VALUE}).")
    private int vocabulary = 50_280;

    @Option(names = "--batch", paramLabel = "B", description = "Sequences (default: ${DEFAULT-VALUE}).")
    private int batch = 1;

    @Option(names = "--prompt", paramLabel = "N", description = "Tokens of a prompt (default: ${DEFAULT-VALUE}).")
    private int prompt = 128;

    @Option(names = "--new", paramLabel = "N", description = "Tokens after it (default: ${DEFAULT-VALUE}).")
    private int tokens = 128;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "Above 0, tokens are drawn, with top-k 40 and top-p 0.9 (default: ${DEFAULT-VALUE}).")
    private double temperature;

    @Option(names = "--repeats", paramLabel = "N", description = "Measurements (default: ${DEFAULT-VALUE}).")
    private int repeats = 7;

    @Option(names = "--json", paramLabel = "FILE", description = "Write the figures there too (default: nowhere).")
    private @Nullable Path json;

    @Override
    public void run() {
        MambaConfig model = MambaConfig.builder()
                .vocabSize(vocabulary)
                .dModel(width)
                .nLayer(layers)
                .build();
        SamplingOptions sampling = temperature == 0
                ? SamplingOptions.GREEDY
                : SamplingOptions.DEFAULTS
                        .withTemperature(temperature)
                        .withTopK(40)
                        .withTopP(0.9);
        GenerationBenchmark.Result result = GenerationBenchmark.run(
                model,
                device,
                Precision.of(precision),
                new GenerationBenchmark.Work(
                        Math.max(1, batch), Math.max(1, prompt), Math.max(1, tokens), sampling, Math.max(1, repeats)));
        double each = (result.medianSeconds() - result.promptSeconds()) / Math.max(1, tokens - 1);
        new Table("lr")
                .row("tokens/s", String.format(Locale.ROOT, "%,.0f", rate(result)))
                .row("median", String.format(Locale.ROOT, "%.2f ms", result.medianSeconds() * 1e3))
                .row("least", String.format(Locale.ROOT, "%.2f ms", result.leastSeconds() * 1e3))
                .row("prompts", String.format(Locale.ROOT, "%.2f ms", result.promptSeconds() * 1e3))
                .row("each step", String.format(Locale.ROOT, "%.1f µs", each * 1e6))
                .row("GPU memory", String.format(Locale.ROOT, "%.2f GB", result.deviceBytes() / GIGA))
                .row("different tokens of a sequence", String.valueOf(result.differentTokens()))
                .lines()
                .forEach(System.out::println);
        if (json != null) {
            AtomicFile.writeString(json, JsonText.pretty(report(result)) + "\n");
        }
    }

    private double rate(GenerationBenchmark.Result result) {
        return Math.max(1, batch) * (double) Math.max(1, tokens) / result.medianSeconds();
    }

    private JsonObject report(GenerationBenchmark.Result result) {
        return JsonObject.builder()
                .put("device", device)
                .put("precision", precision)
                .put("width", width)
                .put("layers", layers)
                .put("vocabulary", vocabulary)
                .put("batch", batch)
                .put("prompt", prompt)
                .put("new", tokens)
                .put("temperature", temperature)
                .put("median_seconds", result.medianSeconds())
                .put("prompt_seconds", result.promptSeconds())
                .put("tokens_per_second", rate(result))
                .put("device_bytes", result.deviceBytes())
                .build();
    }
}
