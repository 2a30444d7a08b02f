package org.mamba4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.fidelity.Dynamics;
import org.mamba4j.torch.nn.LanguageNetwork;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "dynamics",
        description = {
            "Show how a Mamba, a MemMamba or a composed model (S4, S4D, Hyena, S6) moves while it reads a text, in one HTML page.",
            "",
            "The time scales of A in each layer, how far each token of the text opens the valve Δ, how long what it wrote survives, how B and C align, impulse responses, and the kernel of layers that treat all tokens alike. A second model is shown beside the first."
        },
        footer = {"", "Example:  ./mamba4j dynamics --model models/memmamba --text README.md"})
final class DynamicsCommand implements Runnable {
    /** No tokenizer here makes longer tokens on average of text; more of a file is not read. */
    private static final int MOST_BYTES_PER_TOKEN = 32;

    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--text",
            required = true,
            paramLabel = "FILE",
            description = "The text to read. It should not be what the models were trained on.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path text;

    @Option(
            names = "--compare",
            paramLabel = "DIR",
            description = "Another model of the same tokenizer to show beside it: " + ModelChoice.SYNTAX
                    + " (default: none).")
    private @Nullable String compare;

    @Option(
            names = "--length",
            paramLabel = "N",
            defaultValue = "1024",
            description = "Tokens to read from the beginning of the text; a shorter one is read whole (default:"
                    + " ${DEFAULT-VALUE}).")
    private String length = "";

    @Option(
            names = {"--out", "--output"},
            paramLabel = "FILE",
            description = "The page, .html; its figures are written beside it as .json (default: dynamics.html in eval"
                    + " in the model's folder).")
    private @Nullable Path output;

    @Override
    public void run() {
        int most = Lengths.parse(length);
        TextFiles.check(text.toString());
        ReportFile file =
                ReportFile.of("--out", output == null ? model.evaluations().resolve("dynamics.html") : output);
        Tokenizer tokenizer = model.tokenizer();
        List<ModelChoice> models = model.beside(compare);
        int[] tokens = tokens(tokenizer, most);
        List<DynamicsReport.Studied> studied =
                models.stream().map(one -> study(one, tokens)).toList();
        DynamicsReport report = new DynamicsReport(
                studied,
                new DynamicsReport.Text(tokenizer, tokens),
                String.format(
                        Locale.ROOT,
                        "The first %,d tokens of %s",
                        tokens.length,
                        Objects.toString(text.getFileName(), "the text")));
        studied.forEach(DynamicsCommand::show);
        file.write(report.toHtml(), report.toJson());
        System.out.println(
                "times in tokens of this text; alignment: mean cosine of C with B of the token itself; half of the kernel: tokens until half of Σ |K| has passed");
        file.tell();
    }

    private int[] tokens(Tokenizer tokenizer, int most) {
        try (InputStream in = Files.newInputStream(text)) {
            byte[] bytes = in.readNBytes((int) Math.min(Integer.MAX_VALUE - 8, (long) most * MOST_BYTES_PER_TOKEN));
            int[] all = tokenizer.encode(bytes);
            return all.length > most ? Arrays.copyOf(all, most) : all;
        } catch (IOException e) {
            throw TextFiles.unreadable(text.toString(), e);
        }
    }

    private DynamicsReport.Studied study(ModelChoice one, int[] tokens) {
        try (LanguageNetwork network = model.network(one);
                StatusLine status = new StatusLine("dynamics of " + one.name())) {
            return new DynamicsReport.Studied(
                    one.name(),
                    type(network.config()),
                    network.parameterCount(),
                    Dynamics.of(network, tokens, status::show));
        }
    }

    private static String type(ModelConfig config) {
        return config instanceof ComposedConfig composed
                ? config.modelType() + ": " + String.join(", ", composed.innerLayers()) + " in a block of type "
                        + composed.block()
                : config.modelType();
    }

    private static void show(DynamicsReport.Studied studied) {
        System.out.println(studied.name() + ", " + studied.type());
        if (!studied.dynamics().selective().isEmpty()) {
            selective(studied.dynamics()).lines().forEach(System.out::println);
        }
        if (!studied.dynamics().invariant().isEmpty()) {
            invariant(studied.dynamics()).lines().forEach(System.out::println);
        }
    }

    private static Table selective(Dynamics dynamics) {
        Table table = new Table("rrrrrr");
        table.row("layer", "time scale", "longest tenth", "mean Δ", "half-life", "alignment");
        int most = dynamics.selective().getFirst().valve().size();
        for (int i = 0; i < dynamics.layers().size(); i++) {
            if (!(dynamics.layers().get(i) instanceof Dynamics.Selective layer)) {
                continue;
            }
            table.row(
                    Integer.toString(i + 1),
                    DynamicsReport.figure(layer.tokenScales().quantile(0.5)),
                    DynamicsReport.figure(layer.tokenScales().quantile(0.9)),
                    DynamicsReport.figure(DynamicsReport.mean(layer.valve())),
                    MemoryReport.tokens(DynamicsReport.median(layer.halfLives()), most),
                    layer.alignment().isEmpty()
                            ? "–"
                            : String.format(
                                    Locale.ROOT, "%.2f", layer.alignment().getFirst()));
        }
        return table;
    }

    private static Table invariant(Dynamics dynamics) {
        Table table = new Table("rrrr");
        table.row("layer", "time scale", "longest tenth", "half of the kernel");
        for (int i = 0; i < dynamics.layers().size(); i++) {
            if (!(dynamics.layers().get(i) instanceof Dynamics.Invariant layer)) {
                continue;
            }
            table.row(
                    Integer.toString(i + 1),
                    DynamicsReport.figure(layer.tokenScales().quantile(0.5)),
                    DynamicsReport.figure(layer.tokenScales().quantile(0.9)),
                    String.format(Locale.ROOT, "%,d", layer.kernel().reach(0.5)));
        }
        return table;
    }
}
