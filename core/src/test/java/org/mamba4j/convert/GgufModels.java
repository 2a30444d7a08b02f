package org.mamba4j.convert;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.inference.engine.RandomModels;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.TensorSpec;
import org.mamba4j.text.Tokenizer;

/** Random models with a tokenizer, as folders. */
final class GgufModels {
    private GgufModels() {}

    static Path random(Path folder, MambaConfig config, Tokenizer tokenizer, long seed) {
        RandomModels.write(folder, config, DType.F32, seed);
        tokenizer.save(folder);
        return folder;
    }

    /**
     * One that says nothing but printable ASCII: the head's rows of all other tokens are 0, and so are their logits. Its
     * embedding is small beside what layers add, so that it does not only repeat itself.
     */
    static Path printable(Path folder, MambaConfig config, Tokenizer tokenizer, long seed) {
        Path random = random(folder.resolveSibling(folder.getFileName() + "-random"), config, tokenizer, seed);
        try (Checkpoint from = Checkpoint.open(random)) {
            List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
            String head = config.tieEmbeddings() ? config.embedding().name() : "lm_head.weight";
            for (TensorSpec spec : config.parameters()) {
                float[] values = from.floats(spec.name());
                if (spec.equals(config.embedding())) {
                    for (int i = 0; i < values.length; i++) {
                        values[i] *= 0.1f;
                    }
                }
                if (spec.name().equals(head)) {
                    for (int token = 0; token < config.vocabSize(); token++) {
                        if (!isPrintable(tokenizer, token)) {
                            java.util.Arrays.fill(values, token * config.dModel(), (token + 1) * config.dModel(), 0);
                        }
                    }
                }
                tensors.add(SafetensorsWriter.Tensor.ofFloats(spec.name(), spec.shape(), values));
            }
            Checkpoint.write(folder, config, tensors);
        }
        tokenizer.save(folder);
        return folder;
    }

    private static boolean isPrintable(Tokenizer tokenizer, int token) {
        if (token >= tokenizer.vocabSize() || token == 0) {
            return false;
        }
        byte[] bytes = tokenizer.bytes(token);
        for (byte b : bytes) {
            if (b < ' ' || b > '~') {
                return false;
            }
        }
        return !new String(bytes, java.nio.charset.StandardCharsets.US_ASCII).startsWith("<|");
    }

    static byte[] bytes(MemorySegment data) {
        return data.toArray(ValueLayout.JAVA_BYTE);
    }
}
