package org.mamba4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.TensorSpec;

/** A sound byte-level checkpoint with random weights, small enough to be made in a moment. */
final class TinyModel {
    static final MambaConfig CONFIG = MambaConfig.builder()
            .vocabSize(256)
            .dModel(8)
            .nLayer(2)
            .dState(4)
            .eosTokenId(MambaConfig.NO_TOKEN)
            .build();

    private TinyModel() {}

    /** Writes it into {@code folder}/model and returns that. */
    static Path in(Path folder) throws IOException {
        Path model = folder.resolve("model");
        Random random = new Random(1);
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : CONFIG.parameters()) {
            float[] values = new float[Math.toIntExact(spec.shape().elements())];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (0.3 * random.nextGaussian());
            }
            tensors.add(SafetensorsWriter.Tensor.ofFloats(spec.name(), spec.shape(), values));
        }
        Checkpoint.write(model, CONFIG, tensors);
        Files.writeString(model.resolve("tokenizer_config.json"), "{\"tokenizer_class\": \"bytes\"}\n");
        return model;
    }
}
