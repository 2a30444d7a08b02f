package org.mamba4j.cli;

import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.json.JsonObject;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.bench.Machine;
import org.mamba4j.torch.bench.Reference;
import org.mamba4j.torch.decode.GenerationBenchmark;
import org.mamba4j.torch.kernel.Precision;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "generate",
        description = {
            "Measure generation on a GPU with random weights: prompts, then tokens, greedily or by drawing.",
            "",
            "The rate counts new tokens of all sequences over the whole time, prompts included. Greedy tokens are held against"
                    + " the logits of the parallel scan, and the exit code is 1 where they are others. Without a shape, several"
                    + " rows are measured."
        },
        footer = {"", "Example:  ./mamba4j bench generate --device cuda --batch 128"})
final class BenchGenerateCommand implements Runnable {
    private static final double GIGA = 1e9;
    private static final int USUAL = 128; // tokens of a prompt and after it, as the reference was measured
    private static final String OF_FIRST = " (default: that of the first row).";

    @Mixin
    private BenchOptions options = new BenchOptions();

    @Option(names = "--width", paramLabel = "D", description = "Width of the residual stream" + OF_FIRST)
    private @Nullable Integer width;

    @Option(names = "--layers", paramLabel = "N", description = "Blocks of the model" + OF_FIRST)
    private @Nullable Integer layers;

    @Option(names = "--vocabulary", paramLabel = "V", description = "Different tokens" + OF_FIRST)
    private @Nullable Integer vocabulary;

    @Option(names = "--batch", paramLabel = "B", description = "Sequences" + OF_FIRST)
    private @Nullable Integer batch;

    @Option(names = "--prompt", paramLabel = "N", description = "Tokens of a prompt (default: ${DEFAULT-VALUE}).")
    private int prompt = USUAL;

    @Option(names = "--new", paramLabel = "N", description = "Tokens after it (default: ${DEFAULT-VALUE}).")
    private int tokens = USUAL;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "Above 0, tokens are drawn, with top-k 40 and top-p 0.9 (default: ${DEFAULT-VALUE}).")
    private double temperature;

    @Option(
            names = "--repeats",
            paramLabel = "N",
            description = "Measurements, of which the median counts (default: ${DEFAULT-VALUE}).")
    private int repeats = 7;

    @Override
    public void run() {
        if (prompt < 1 || tokens < 1 || repeats < 1) {
            throw new UserError("--prompt " + prompt + ", --new " + tokens + ", --repeats " + repeats
                    + ": each must be at least 1");
        }
        if (options.device().equals("cpu")) {
            throw new UserError("bench generate measures NVIDIA GPUs: use --device cuda");
        }
        List<Row> rows = rows();
        Machine machine = options.machine();
        Precision precision = options.precision(machine);
        BenchReport report = new BenchReport("generate", options.device(), machine);
        Table table = new Table("lrrrrrrrrr")
                .row("work", "ms", "least", "prompts", "step µs", "tokens/s", "GPU GB", "off", "ref", "ratio");
        for (Row row : rows) {
            GenerationBenchmark.Result result = GenerationBenchmark.run(
                    row.model(),
                    options.device(),
                    precision,
                    new GenerationBenchmark.Work(row.batch, prompt, tokens, sampling(), repeats));
            double rate = row.batch * (double) tokens / result.medianSeconds();
            OptionalDouble reference = reference(row, precision, machine);
            table.row(
                    row.toString(),
                    decimals(result.medianSeconds() * 1e3, 2),
                    decimals(result.leastSeconds() * 1e3, 2),
                    decimals(result.promptSeconds() * 1e3, 2),
                    decimals(stepSeconds(result) * 1e6, 1),
                    decimals(rate, 0),
                    decimals(result.deviceBytes() / GIGA, 2),
                    result.worstOff().isPresent() ? decimals(result.worstOff().getAsDouble(), 3) : "",
                    reference.isPresent() ? decimals(reference.getAsDouble(), 0) : "",
                    reference.isPresent() ? decimals(rate / reference.getAsDouble(), 2) : "");
            report.row(json(row, precision, result, rate, reference));
        }
        table.lines().forEach(System.out::println);
        System.out.println(
                "off: by how much a chosen token's logit lies below the greatest of the parallel scan's, at worst,"
                        + " in standard deviations of the logits");
        options.write(report);
    }

    /** The one that the user describes, or several. */
    private List<Row> rows() {
        List<Row> rows = List.of(
                new Row(768, 24, 50_280, 1),
                new Row(768, 24, 50_280, 128),
                new Row(2048, 48, 50_280, 1),
                new Row(2048, 48, 50_280, 128));
        if (Stream.of(width, layers, vocabulary, batch).allMatch(value -> value == null)) {
            return rows;
        }
        Row first = rows.getFirst();
        return List.of(new Row(
                width == null ? first.width : width,
                layers == null ? first.layers : layers,
                vocabulary == null ? first.vocabulary : vocabulary,
                batch == null ? first.batch : batch));
    }

    private SamplingOptions sampling() {
        return temperature == 0
                ? SamplingOptions.GREEDY
                : SamplingOptions.DEFAULTS
                        .withTemperature(temperature)
                        .withTopK(40)
                        .withTopP(0.9);
    }

    /** The reference's rate for the same work. */
    private OptionalDouble reference(Row row, Precision precision, Machine machine) {
        return prompt == USUAL && tokens == USUAL && temperature == 0
                ? Reference.of("generate " + row + " " + precision.key(), machine.name())
                : OptionalDouble.empty();
    }

    private double stepSeconds(GenerationBenchmark.Result result) {
        return (result.medianSeconds() - result.promptSeconds()) / Math.max(1, tokens - 1);
    }

    private JsonObject json(
            Row row, Precision precision, GenerationBenchmark.Result result, double rate, OptionalDouble reference) {
        JsonObject.Builder json = JsonObject.builder()
                .put("work", row.toString())
                .put("precision", precision.key())
                .put("prompt", prompt)
                .put("new", tokens)
                .put("temperature", temperature)
                .put("median_seconds", result.medianSeconds())
                .put("least_seconds", result.leastSeconds())
                .put("prompt_seconds", result.promptSeconds())
                .put("step_seconds", stepSeconds(result))
                .put("tokens_per_second", rate)
                .put("device_bytes", result.deviceBytes());
        result.worstOff().ifPresent(off -> json.put("worst_off", off));
        if (reference.isPresent()) {
            json.put("reference_tokens_per_second", reference.getAsDouble())
                    .put("ratio", rate / reference.getAsDouble());
        }
        return json.build();
    }

    private static String decimals(double value, int places) {
        return String.format(Locale.ROOT, "%,." + places + "f", value);
    }

    /** A model and how many sequences it continues. */
    private record Row(int width, int layers, int vocabulary, int batch) {
        Row {
            if (batch < 1) {
                throw new UserError("--batch " + batch + ": at least 1");
            }
        }

        MambaConfig model() {
            return MambaConfig.builder()
                    .vocabSize(vocabulary)
                    .dModel(width)
                    .nLayer(layers)
                    .build();
        }

        @Override
        public String toString() {
            return "d" + width + " x" + layers + " V" + vocabulary + " B" + batch;
        }
    }
}
