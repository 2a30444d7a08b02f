package org.mamba4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaStack;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;

/**
 * Makes a checkpoint smaller, and so faster to decode with: embedding, head and projections become {@link
 * WeightFormat#Q8} or {@link WeightFormat#Q4}.
 *
 * <p>All else stays as it is stored: what shapes the recurrence (A, D, the convolution, biases), norms, a memory's scorer
 * and readers, whose scores decide who is remembered, and matrices whose rows are no whole number of blocks. With 4 bits
 * the projections to and from the time step, B and C, one twentieth of a model, get 8, since errors there are
 * exponentiated.
 *
 * <p>In the file a quantised parameter is a tensor of bytes (rows, bytes of a row), and the metadata's {@code
 * quantised.NAME} says in which format.
 */
public final class Quantiser {
    /** Begins the keys of the metadata that name quantised tensors' formats. */
    static final String METADATA = "quantised.";

    private static final List<String> QUANTISED = List.of(
            "embeddings.weight",
            "lm_head.weight",
            "mixer.in_proj.weight",
            "mixer.x_proj.weight",
            "mixer.dt_proj.weight",
            "mixer.out_proj.weight");
    private static final List<String> SELECTION = List.of("mixer.x_proj.weight", "mixer.dt_proj.weight");
    private static final List<String> COPIED = List.of(
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.json",
            "merges.txt",
            "generation_config.json");

    private Quantiser() {}

    /**
     * Writes a quantised copy of a checkpoint, its tokenizer included.
     *
     * @param folder does not exist yet
     * @throws UserError if it exists or cannot be written, or a weight is not finite
     */
    public static void write(Checkpoint from, Path folder, WeightFormat format) {
        if (!Files.isDirectory(from.folder())) {
            throw new UserError(
                    from.folder() + " is not a checkpoint folder: quantise a GGUF file with \"convert IN OUT"
                            + " --type q8_0\", or make a folder of it so");
        }
        if (Files.exists(folder)) {
            throw new UserError(folder + " exists already: give the name of a new folder");
        }
        if (!(from.config() instanceof MambaStack)) {
            throw new UserError(from.folder() + " holds a model of type "
                    + from.config().modelType() + ", but only the engine java reads quantised weights, which computes"
                    + " mamba and memmamba");
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("format", "pt");
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : from.config().parameters()) {
            String name = spec.name();
            WeightFormat chosen = choose(spec, format);
            if (chosen.isQuantised()) {
                metadata.put(METADATA + name, chosen.name());
                Shape stored =
                        Shape.of(spec.shape().size(0), chosen.bytes(spec.shape().size(1)));
                tensors.add(new SafetensorsWriter.Tensor(
                        name, DType.U8, stored, () -> quantised(from, name, chosen, stored)));
            } else {
                tensors.add(new SafetensorsWriter.Tensor(
                        name, from.info(name).dtype(), spec.shape(), () -> from.data(name)));
            }
        }
        Checkpoint.writeFolder(folder, from.config(), metadata, tensors);
        copyTokenizer(from.folder(), folder);
    }

    private static WeightFormat choose(TensorSpec spec, WeightFormat format) {
        return !isMatrix(spec) || !format.fits(spec.shape().size(1)) ? WeightFormat.F32 : refined(spec, format);
    }

    /** Whether a parameter is one of those that may be stored as something other than float32. */
    static boolean isMatrix(TensorSpec spec) {
        return QUANTISED.stream().anyMatch(spec.name()::endsWith);
    }

    /** What is taken of 4 bits where those are too few. */
    static WeightFormat refined(TensorSpec spec, WeightFormat format) {
        boolean sensitive = format == WeightFormat.Q4 && SELECTION.stream().anyMatch(spec.name()::endsWith);
        return sensitive ? WeightFormat.Q8 : format;
    }

    /** A parameter in a quantised format, which takes {@code stored} bytes. */
    static MemorySegment quantised(Checkpoint from, String name, WeightFormat format, Shape stored) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[Math.toIntExact(stored.elements())]);
        try {
            format.quantise(from.floats(name), bytes);
        } catch (IllegalArgumentException e) {
            throw new UserError(from.folder() + ": tensor \"" + name + "\": " + e.getMessage(), e);
        }
        return bytes;
    }

    private static void copyTokenizer(Path from, Path to) {
        for (String file : COPIED) {
            try {
                if (Files.exists(from.resolve(file))) {
                    Files.copy(from.resolve(file), to.resolve(file));
                }
            } catch (IOException e) {
                throw new UserError(to.resolve(file) + " cannot be written: " + e, e);
            }
        }
    }
}
