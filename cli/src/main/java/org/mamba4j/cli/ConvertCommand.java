package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.GgufFile;
import org.mamba4j.convert.GgufConverter;
import org.mamba4j.kernel.WeightFormat;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "convert",
        description = {
            "Write a Mamba as a GGUF file, which llama.cpp runs, or a GGUF file as a checkpoint folder.",
            "",
            "The tokenizer goes with it. A MemMamba has no place in GGUF."
        },
        footer = {"", "Example:  ./mamba4j convert runs/demo demo.gguf --type q8_0"})
final class ConvertCommand implements Runnable {
    private static final String SUFFIX = ".gguf";

    /** Types by the names that GGUF has for them. */
    enum Type {
        /** 32 bits a weight. */
        F32(WeightFormat.F32),
        /** 16 bits a weight. */
        F16(WeightFormat.F16),
        /** 16 bits a weight, the upper half of 32. */
        BF16(WeightFormat.BF16),
        /** 8.5 bits a weight. */
        Q8_0(WeightFormat.Q8),
        /** 4.5 bits a weight. */
        Q4_0(WeightFormat.Q4);

        private final WeightFormat format;

        Type(WeightFormat format) {
            this.format = format;
        }
    }

    @Parameters(index = "0", paramLabel = "IN", description = "Checkpoint folder, run folder or GGUF file.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path from;

    @Parameters(
            index = "1",
            paramLabel = "OUT",
            description = "What to write: a GGUF file if it ends in .gguf, else a folder, which must not exist.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path to;

    @Option(
            names = "--type",
            paramLabel = "NAME",
            description = "Type of the matrices: ${COMPLETION-CANDIDATES} (default: what they are; in a folder, F32 for"
                    + " quantised ones). A folder takes the first three.")
    private @Nullable Type type;

    @Override
    public void run() {
        Path checkpoint = ModelOptions.checkpoint(from);
        Optional<WeightFormat> format = Optional.ofNullable(type).map(chosen -> chosen.format);
        List<String> notes;
        if (to.toString().endsWith(SUFFIX)) {
            notes = GgufConverter.toFile(checkpoint, to, format);
            report(to, to);
        } else if (GgufFile.isOne(checkpoint)) {
            notes = GgufConverter.toFolder(checkpoint, to, format);
            report(to, to.resolve("model.safetensors"));
        } else {
            throw new UserError("neither " + from + " nor " + to + " is a GGUF file: give " + to + SUFFIX
                    + ", or take \"quantize\" to write a smaller folder");
        }
        notes.forEach(note -> System.err.println("note: " + note));
    }

    private static void report(Path written, Path weights) {
        try {
            System.err.printf(Locale.ROOT, "%s: %,.1f MB%n", written, Files.size(weights) * 1e-6);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
