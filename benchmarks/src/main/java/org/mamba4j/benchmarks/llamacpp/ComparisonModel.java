package org.mamba4j.benchmarks.llamacpp;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.GgufFile;
import org.mamba4j.checkpoint.GgufTensor;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.convert.GgufConverter;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;

/**
 * A Mamba with random weights and a tokenizer to match. The first 256 tokens are the bytes, and no merges make others of
 * them, so that a prompt of n ASCII characters has n tokens; the others have texts of their own, so that a text tells
 * which tokens were chosen.
 */
public final class ComparisonModel {
    private static final int BYTES = 256;
    private static final long SEED = 130;

    private ComparisonModel() {}

    /** The shape of the published model of 130 M parameters. */
    public static MambaConfig shape() {
        return MambaConfig.builder().vocabSize(50_280).dModel(768).nLayer(24).build();
    }

    /**
     * The GGUF file of that type in {@code folder}, made unless it is there.
     *
     * @param type of the matrices
     */
    public static Path file(Path folder, MambaConfig config, WeightFormat type) {
        Path file = folder.resolve(config.dModel() + "x" + config.nLayer() + "-" + type + ".gguf");
        if (Files.exists(file)) {
            return file;
        }
        Path model = folder.resolve(config.dModel() + "x" + config.nLayer());
        try {
            Files.createDirectories(folder);
            if (!Files.exists(model)) {
                Checkpoint.write(model, config, tensors(config));
                Files.writeString(model.resolve("tokenizer.json"), tokenizer(config.vocabSize()));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        GgufConverter.toFile(model, file, Optional.of(type));
        return file;
    }

    /** Writes a model of any family, with random weights, unless the folder is there; one with a memory notes every token. */
    public static void write(Path folder, ModelConfig config) {
        if (!Files.exists(folder)) {
            Checkpoint.write(folder, config, tensors(config));
        }
    }

    private static List<SafetensorsWriter.Tensor> tensors(ModelConfig config) {
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : config.parameters()) {
            tensors.add(new SafetensorsWriter.Tensor(spec.name(), DType.F32, spec.shape(), () -> values(spec)));
        }
        return tensors;
    }

    /** As trained ones are in size, so that nothing overflows and every token has a say. */
    private static MemorySegment values(TensorSpec spec) {
        SplittableRandom random = new SplittableRandom(SEED + spec.name().hashCode());
        float[] values = new float[Math.toIntExact(spec.shape().elements())];
        int columns = (int) spec.shape().size(spec.shape().rank() - 1);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) value(spec.name(), i, columns, random);
        }
        return MemorySegment.ofArray(values);
    }

    private static double value(String name, int index, int columns, SplittableRandom random) {
        if (name.endsWith("A_log")) {
            return Math.log(1 + index % columns);
        }
        if (name.endsWith("dt_proj.bias")) {
            return -4 + 2 * random.nextDouble();
        }
        if (name.endsWith("memory.threshold")) {
            return -1e9;
        }
        if (name.endsWith("norm.weight") || name.endsWith("norm_f.weight") || name.endsWith(".D")) {
            return 1;
        }
        // Uniform: four times as fast as normal, and as good here.
        double uniform = Math.sqrt(3) * (2 * random.nextDouble() - 1);
        return name.endsWith("embeddings.weight") ? 0.1 * uniform : uniform / Math.sqrt(columns);
    }

    private static String tokenizer(int size) {
        JsonObject.Builder vocabulary = JsonObject.builder();
        for (int b = 0; b < BYTES; b++) {
            vocabulary.put(spelling(b), b);
        }
        for (int id = BYTES; id < size; id++) {
            vocabulary.put(spelling(' ') + "t" + id, id);
        }
        JsonObject byteLevel = JsonObject.builder()
                .put("type", "ByteLevel")
                .put("add_prefix_space", false)
                .put("trim_offsets", true)
                .put("use_regex", true)
                .build();
        return JsonText.compact(JsonObject.builder()
                .put("version", "1.0")
                .put("added_tokens", new JsonArray(List.of()))
                .put("normalizer", JsonNull.NULL)
                .put("pre_tokenizer", byteLevel)
                .put("decoder", byteLevel)
                .put(
                        "model",
                        JsonObject.builder()
                                .put("type", "BPE")
                                .put("vocab", vocabulary.build())
                                .put("merges", new JsonArray(List.<JsonValue>of()))
                                .build())
                .build());
    }

    /** A byte as byte-level BPE writes it: itself if it is printable, else the next of the characters from U+0100 on. */
    private static String spelling(int b) {
        int next = 0x100;
        for (int i = 0; i < b; i++) {
            next += isPrintable(i) ? 0 : 1;
        }
        return String.valueOf((char) (isPrintable(b) ? b : next));
    }

    private static boolean isPrintable(int b) {
        return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    }

    /** A prompt of {@code tokens} tokens. */
    static String prompt(int tokens) {
        StringBuilder text = new StringBuilder();
        SplittableRandom random = new SplittableRandom(SEED);
        while (text.length() < tokens) {
            text.append((char) ('a' + random.nextInt(26)));
            if (random.nextInt(6) == 0) {
                text.append(' ');
            }
        }
        return text.substring(0, tokens - 1) + ".";
    }

    /** Bytes of all weights that one token reads: the whole file but for its header and, unless it is the head, the embedding. */
    static long weightBytes(Path file) {
        try (GgufFile gguf = GgufFile.open(file)) {
            boolean tied = !gguf.tensors().containsKey("output.weight");
            return gguf.tensors().values().stream()
                    .filter(tensor -> tied || !tensor.name().equals("token_embd.weight"))
                    .mapToLong(GgufTensor::bytes)
                    .sum();
        }
    }
}
