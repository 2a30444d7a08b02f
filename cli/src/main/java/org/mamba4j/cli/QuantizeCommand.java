package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.Quantiser;
import org.mamba4j.kernel.WeightFormat;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "quantize",
        description = {
            "Write a smaller copy of a model, which generates faster.",
            "",
            "Only the engine java runs it; it cannot be trained any further."
        },
        footer = {"", "Example:  ./mamba4j quantize runs/demo demo-q8 --type q8"})
final class QuantizeCommand implements Runnable {
    /** What a model can become; named as others name these formats. */
    enum Type {
        /** 8.5 bits a weight. */
        Q8(WeightFormat.Q8),
        /** 4.5 bits a weight. */
        Q4(WeightFormat.Q4);

        private final WeightFormat format;

        Type(WeightFormat format) {
            this.format = format;
        }
    }

    @Parameters(index = "0", paramLabel = "IN", description = "Checkpoint or run folder.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path from;

    @Parameters(index = "1", paramLabel = "OUT", description = "Folder to write; must not exist.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path to;

    @Option(
            names = "--type",
            required = true,
            paramLabel = "NAME",
            description = "Bits a weight: ${COMPLETION-CANDIDATES}. Q8 differs hardly from the original.")
    private Type type = Type.Q8;

    @Override
    public void run() {
        try (Checkpoint checkpoint = Checkpoint.open(ModelOptions.checkpoint(from))) {
            Quantiser.write(checkpoint, to, type.format);
            long before =
                    checkpoint.files().stream().mapToLong(QuantizeCommand::size).sum();
            long after = size(to.resolve("model.safetensors"));
            System.err.printf(
                    Locale.ROOT,
                    "%s: %,.1f MB, %.0f %% of %,.1f MB%n",
                    to,
                    after * 1e-6,
                    100.0 * after / before,
                    before * 1e-6);
        }
    }

    private static long size(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
