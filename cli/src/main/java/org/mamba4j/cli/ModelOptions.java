package org.mamba4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.GgufFile;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.kernel.Workers;
import org.mamba4j.model.DecimationConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.train.Checkpoints;
import picocli.CommandLine.Option;

/** Which model, and what computes it. */
final class ModelOptions {
    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR",
            description = "Checkpoint folder as Hugging Face writes it, a run's folder (its best checkpoint is taken),"
                    + " or a GGUF file.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path model;

    @Option(
            names = "--engine",
            paramLabel = "NAME",
            description =
                    "What computes the model: ${COMPLETION-CANDIDATES} (default: JAVA for float32 on the CPU, else"
                            + " TORCH).")
    private @Nullable Engine engine;

    @Option(
            names = "--device",
            paramLabel = "cpu|cuda|cuda:N",
            defaultValue = "cpu",
            description = "Where the model runs (default: ${DEFAULT-VALUE}).")
    private String device = "cpu";

    @Option(
            names = "--precision",
            paramLabel = "NAME",
            defaultValue = "FLOAT32",
            description = "Arithmetic of the model's products: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
    private Precision precision = Precision.FLOAT32;

    @Option(
            names = "--notes",
            paramLabel = "on|off",
            defaultValue = "ON",
            description =
                    "Whether a MemMamba reads its notes; off, it is the Mamba that its other weights are (default:"
                            + " on).")
    private Notes notes = Notes.ON;

    @Option(
            names = "--decimate",
            paramLabel = "SPEC",
            description = "Leave the unimportant tokens of long texts out of a Mamba's layers (DeciMamba), for example"
                    + " 'layers=12-20;base=8000;beta=0.83;min=20': layers from 0, tokens that the first of them keeps, share of"
                    + " them that the next one keeps, least number (default: none; base 2000, beta 0.5, min 20).")
    private @Nullable String decimation;

    private @Nullable ModelChoice choice;

    /** The caller closes it. */
    LanguageModel open() {
        return open(choice());
    }

    /** A model on the engine and device that were asked for; the caller closes it. */
    LanguageModel open(ModelChoice one) {
        return engine(one).open(one, device, precision);
    }

    /**
     * The network of a model, to look into; the caller closes it.
     *
     * @throws UserError if a weight is no number: what is measured of it would be none
     */
    LanguageNetwork network(ModelChoice one) {
        MambaKernels kernels =
                MambaKernels.on(device, precision, Workers.shared().parallelism());
        try (Checkpoint opened = one.reading().of(Checkpoint.open(one.checkpoint()))) {
            LanguageNetwork network = LanguageNetwork.load(opened, kernels);
            try {
                network.checkNumbers();
                return network;
            } catch (UserError e) {
                network.close();
                throw new UserError(one.checkpoint() + ": " + e.getMessage(), e);
            }
        }
    }

    /** The model that was named. */
    ModelChoice choice() {
        if (choice == null) {
            choice = ModelChoice.of(model, reading());
        }
        return choice;
    }

    /** The model that was named, and {@code other} to show beside it, of the same tokenizer. */
    List<ModelChoice> beside(@Nullable String other) {
        if (other == null) {
            return List.of(choice());
        }
        ModelChoice second = ModelChoice.parse(other);
        second.checkTokenizer(tokenizer());
        return List.of(choice(), second);
    }

    private Reading reading() {
        if (decimation == null) {
            return notes;
        }
        if (notes == Notes.OFF) {
            throw new UserError("--decimate is for a Mamba and --notes for a MemMamba: give only one");
        }
        return new Reading.Decimated(DecimationConfig.parse(decimation));
    }

    Tokenizer tokenizer() {
        return choice().tokenizer();
    }

    /** Texts that the engine reads best at the same time. */
    int readers() {
        return engine(choice()).readers(device);
    }

    private Engine engine(ModelChoice one) {
        return engine == null ? Engine.preferred(one, device, precision) : engine;
    }

    /** Where evaluations go unless told: in the folder that was named, as a run deletes old checkpoints; beside a file. */
    Path evaluations() {
        return Files.isDirectory(model) ? model.resolve("eval") : model.resolveSibling(model.getFileName() + ".eval");
    }

    /**
     * The checkpoint or GGUF file that {@code folder} is, or the best checkpoint of the run that it is.
     *
     * @throws UserError if it is none of them
     */
    static Path checkpoint(Path folder) {
        if (GgufFile.isOne(folder)) {
            return folder;
        }
        if (!Files.isDirectory(folder) && folder.toString().endsWith(".gguf")) {
            throw new UserError(
                    Files.exists(folder)
                            ? folder + " does not begin as a GGUF file does: it is empty, damaged or something else"
                            : "there is no file " + folder);
        }
        if (!Files.isDirectory(folder)) {
            throw new UserError(
                    Files.exists(folder)
                            ? folder + " is not a folder: give the checkpoint folder that holds "
                                    + ModelConfig.FILE_NAME + ", or a GGUF file"
                            : "there is no folder " + folder + ": give a checkpoint folder, or train one first");
        }
        if (Files.exists(folder.resolve(ModelConfig.FILE_NAME))) {
            return folder;
        }
        return Checkpoints.of(folder)
                .best()
                .map(Checkpoints.Saved::folder)
                .orElseThrow(() -> new UserError(folder + " holds neither " + ModelConfig.FILE_NAME
                        + " (a checkpoint) nor checkpoints of a run: give one of the two"));
    }
}
