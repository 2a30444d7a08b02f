package org.mamba4j.inference.engine;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.DType;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.TensorSpec;

/** Checkpoints with random weights of the sizes that trained ones have, every part of the state of importance. */
public final class RandomModels {
    private RandomModels() {}

    /** Writes one, its matrices as {@code type}, and returns its folder. */
    public static Path write(Path folder, ModelConfig config, DType type, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : config.parameters()) {
            float[] values = new float[Math.toIntExact(spec.shape().elements())];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) value(spec, i, random);
            }
            DType stored = spec.shape().rank() == 2 ? type : DType.F32;
            tensors.add(new SafetensorsWriter.Tensor(spec.name(), stored, spec.shape(), () -> bytes(values, stored)));
        }
        Checkpoint.write(folder, config, tensors);
        return folder;
    }

    private static MemorySegment bytes(float[] values, DType type) {
        MemorySegment memory = Arena.ofAuto().allocate((long) values.length * type.bytes(), 8);
        type.fromFloats(values, 0, memory, 0, values.length);
        return memory;
    }

    private static double value(TensorSpec spec, int index, SplittableRandom random) {
        String name = spec.name();
        int columns = (int) spec.shape().size(spec.shape().rank() - 1);
        if (name.endsWith("A_log")) {
            return Math.log(1 + index % columns);
        }
        if (name.endsWith("dt_proj.bias")) {
            return -4 + 2 * random.nextDouble();
        }
        if (name.endsWith("norm.weight") || name.endsWith("norm_f.weight") || name.endsWith(".D")) {
            return 1 + 0.2 * random.nextGaussian();
        }
        if (name.endsWith("threshold")) {
            return 0;
        }
        if (name.endsWith("embeddings.weight") || name.endsWith("score_out.weight")) {
            return random.nextGaussian();
        }
        return random.nextGaussian() / Math.sqrt(columns);
    }
}
