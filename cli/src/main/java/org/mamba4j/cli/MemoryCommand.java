package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.tasks.Passkey;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.fidelity.MemoryStudy;
import org.mamba4j.torch.fidelity.NotedText;
import org.mamba4j.torch.nn.LanguageNetwork;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "memory",
        description = {
            "Show what a model remembers, layer by layer, in one HTML page.",
            "",
            "How the influence of a token decays with the tokens since, what each layer still tells of it, what a MemMamba noted and when it reads its notes. A second model is shown beside the first."
        },
        footer = {"", "Example:", "  ./mamba4j memory --model models/memmamba --data docs --output memory.html"})
final class MemoryCommand implements Runnable {
    private static final int LEAST_LENGTH = 64;

    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "PATH",
            description = "Text to read: a file, a folder, a glob or a zip; ARCHIVE.zip!GLOB takes a part of a zip. It"
                    + " should not be what the models were trained on.")
    private String data = "";

    @Option(
            names = "--compare",
            paramLabel = "DIR",
            description = "Another model of the same tokenizer to show beside it: " + ModelChoice.SYNTAX
                    + " (default: none).")
    private @Nullable String compare;

    @Option(
            names = "--length",
            paramLabel = "N",
            defaultValue = "2048",
            description = "Tokens of a sequence; memory is looked at over half of it (default: ${DEFAULT-VALUE}).")
    private String length = "";

    @Option(
            names = "--sequences",
            paramLabel = "N",
            defaultValue = "12",
            description = "How many are read; half of them fit the decoders, half test them (default:"
                    + " ${DEFAULT-VALUE}).")
    private int sequences;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "What places and the key in the shown text are drawn from (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(
            names = "--output",
            paramLabel = "FILE",
            description = "The page, .html; its figures are written beside it as .json (default: memory.html in eval in"
                    + " the model's folder).")
    private @Nullable Path output;

    @Override
    public void run() {
        int tokens = Lengths.parse(length);
        if (tokens < LEAST_LENGTH || sequences < 2) {
            throw new UserError("at least 2 sequences of " + LEAST_LENGTH + " tokens are needed, not " + sequences
                    + " of " + tokens);
        }
        ReportFile file =
                ReportFile.of("--output", output == null ? model.evaluations().resolve("memory.html") : output);
        Tokenizer tokenizer = model.tokenizer();
        List<ModelChoice> models = model.beside(compare);
        Filler text = RetrievalOptions.text(data, tokenizer);
        List<int[]> read = new ArrayList<>();
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < sequences; i++) {
            read.add(text.draw(tokens, random));
        }
        Passkey.Example example = Passkey.example(tokenizer, text, Math.max(tokens, 640), 0.2, random.nextLong());
        List<MemoryReport.Studied> studied =
                models.stream().map(one -> study(one, read, example)).toList();
        MemoryReport report = new MemoryReport(studied, tokenizer, example, facts(read));
        studied.forEach(MemoryCommand::show);
        file.write(report.toHtml(), report.toJson());
        System.out.println("half-life in tokens; ETMF as this project defines it");
        file.tell();
    }

    private MemoryReport.Studied study(ModelChoice one, List<int[]> read, Passkey.Example example) {
        try (LanguageNetwork network = model.network(one);
                StatusLine status = new StatusLine("memory of " + one.name())) {
            MemoryStudy study = MemoryStudy.of(network, read, status::show);
            NotedText noted = NotedText.of(network, example.tokens());
            return new MemoryReport.Studied(
                    one.name(), network.config().modelType(), network.parameterCount(), study, noted);
        }
    }

    private List<String> facts(List<int[]> read) {
        return List.of(String.format(
                Locale.ROOT,
                "%d sequences of %,d tokens from %s, seed %d",
                read.size(),
                read.getFirst().length,
                data,
                seed));
    }

    private static void show(MemoryReport.Studied studied) {
        System.out.println(studied.name() + ", " + studied.type());
        Table table = new Table("rrrrrr");
        table.row("layer", "half-life", "ETMF", "noted", "read gate", "attention on notes");
        List<MemoryStudy.Layer> layers = studied.study().layers();
        for (int i = 0; i < layers.size(); i++) {
            MemoryStudy.Layer layer = layers.get(i);
            List<MemoryStudy.Notes> notes = layer.notes();
            table.row(
                    Integer.toString(i + 1),
                    MemoryReport.tokens(layer.halfLife(), studied.study().lags().getLast()),
                    String.format(Locale.ROOT, "%.3f", layer.meanFidelity()),
                    notes.isEmpty() ? "" : MemoryReport.percent(notes.getFirst().rate()),
                    notes.isEmpty() ? "" : MemoryReport.percent(notes.getFirst().gate()),
                    notes.isEmpty() ? "" : MemoryReport.percent(notes.getFirst().attention()));
        }
        table.lines().forEach(System.out::println);
    }
}
