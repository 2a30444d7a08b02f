package org.mamba4j.convert;

import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SequencedMap;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.GgufExport;
import org.mamba4j.checkpoint.GgufValue;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;
import org.mamba4j.text.GgufTokenizer;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/** Between checkpoint folders, which Hugging Face reads, and GGUF files, which llama.cpp reads. */
public final class GgufConverter {
    private GgufConverter() {}

    /**
     * Writes a GGUF file.
     *
     * @param from a checkpoint folder with its tokenizer, or another GGUF file
     * @param file to be written, in a folder that exists; replaced if it is there
     * @param type of the matrices; none for the one that they have
     * @return what is to be said about differences, a line each
     * @throws UserError if the model cannot be expressed, has no tokenizer, or a file cannot be read or written
     */
    public static List<String> toFile(Path from, Path file, Optional<WeightFormat> type) {
        if (isSame(from, file)) {
            throw new UserError(file + " cannot be read and written at once: give another name to write to");
        }
        try (Checkpoint checkpoint = Checkpoint.openQuantised(from)) {
            ModelConfig config = checkpoint.config();
            GgufExport.requireKnown(checkpoint);
            Tokenizer tokenizer = Tokenizers.load(from);
            List<String> notes = new ArrayList<>(GgufTokenizer.differences(tokenizer));
            SequencedMap<String, GgufValue> keys = GgufTokenizer.keys(tokenizer, config.vocabSize());
            if (config.eosTokenId() < 0) {
                notes.add(nameEnd(keys, GgufTokenizer.unusedToken(tokenizer, config.vocabSize())));
            }
            GgufExport.write(checkpoint, file, type, keys);
            return notes;
        }
    }

    /** Without such a key llama.cpp takes token 11 for the end of a text, whatever that is. */
    private static String nameEnd(SequencedMap<String, GgufValue> keys, OptionalInt unused) {
        if (unused.isEmpty()) {
            return "the model has no token that ends a text, and none is free: llama.cpp will take number 11 for one";
        }
        keys.put(GgufExport.END_TOKEN, GgufValue.of(unused.getAsInt()));
        return "the model has no token that ends a text, which llama.cpp wants: it is told number " + unused.getAsInt()
                + ", which no text has";
    }

    /**
     * Writes a checkpoint folder. Quantised matrices become float32, as others know no such checkpoints.
     *
     * @param from a GGUF file
     * @param folder does not exist yet
     * @param type F32, F16 or BF16 for the matrices; none for the one that they have
     * @return what is to be said about differences, a line each
     * @throws UserError if the file is damaged or of another kind, or the folder exists or cannot be written
     */
    public static List<String> toFolder(Path from, Path folder, Optional<WeightFormat> type) {
        if (Files.exists(folder)) {
            throw new UserError(folder + " exists already: give the name of a new folder");
        }
        if (type.filter(WeightFormat::isQuantised).isPresent()) {
            throw new UserError("a folder is written as F32, F16 or BF16: make one of those first, and quantise it with"
                    + " \"quantize\"");
        }
        try (Checkpoint checkpoint = Checkpoint.openQuantised(from)) {
            List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
            for (TensorSpec spec : checkpoint.config().parameters()) {
                tensors.add(tensor(checkpoint, spec, type));
            }
            Tokenizer tokenizer = Tokenizers.load(from);
            Checkpoint.write(folder, checkpoint.config(), tensors);
            tokenizer.save(folder);
            return List.of();
        }
    }

    private static SafetensorsWriter.Tensor tensor(Checkpoint from, TensorSpec spec, Optional<WeightFormat> type) {
        String name = spec.name();
        boolean quantised = from.isQuantised(name);
        DType stored = quantised ? DType.F32 : from.info(name).dtype();
        boolean matrix = spec.shape().rank() == 2 && !name.endsWith("A_log");
        DType wanted = matrix ? type.map(GgufConverter::dtype).orElse(stored) : stored;
        return new SafetensorsWriter.Tensor(name, wanted, spec.shape(), () -> {
            if (!quantised && wanted == stored) {
                return from.data(name);
            }
            float[] values = from.floats(name);
            MemorySegment bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, wanted.bytes())]);
            wanted.fromFloats(values, 0, bytes, 0, values.length);
            return bytes;
        });
    }

    private static DType dtype(WeightFormat format) {
        return switch (format) {
            case F16 -> DType.F16;
            case BF16 -> DType.BF16;
            default -> DType.F32;
        };
    }

    private static boolean isSame(Path from, Path file) {
        return from.toAbsolutePath().normalize().equals(file.toAbsolutePath().normalize());
    }
}
