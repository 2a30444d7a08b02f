package org.mamba4j.torch.nn;

import java.util.SplittableRandom;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;

/** Small MemMambas for tests, and texts for them. */
final class MemoryModels {
    static final int VOCABULARY = 29;

    private MemoryModels() {}

    /** Chunks of 4, pools of 3, reading below in every second layer. */
    static MemoryConfig.Builder memory() {
        return MemoryConfig.builder().chunkSize(4).poolSize(3).summarySize(5).crossLayerPeriod(2);
    }

    /** Four layers of width 8: the second takes notes, the third does, the fourth reads the notes of both. */
    static MemMambaConfig config(MemoryConfig memory) {
        return new MemMambaConfig(
                MambaConfig.builder()
                        .vocabSize(VOCABULARY)
                        .dModel(8)
                        .nLayer(4)
                        .dState(4)
                        .build(),
                memory);
    }

    /** A model whose memory matters: every tensor of it is drawn at random, and about half of the tokens are noted. */
    static MemMamba random(MemoryConfig memory, long seed) {
        return randomised(MemMamba.create(config(memory), Gpu.kernelsUnderTest(), seed), seed);
    }

    static MemMamba randomised(MemMamba model, long seed) {
        SplittableRandom random = new SplittableRandom(seed + 1);
        for (Parameter parameter : model.parameters()) {
            String name = parameter.name();
            if (MambaInit.isMemory(parameter)) {
                double size = name.endsWith("score_out.weight") ? 3 : 0.7;
                double centre = name.endsWith("norm.weight") ? 1 : 0;
                MambaInit.set(parameter, () -> centre + size * random.nextGaussian());
            } else if (name.endsWith("embeddings.weight")) {
                MambaInit.set(parameter, random::nextGaussian);
            }
            if (name.endsWith("threshold")) {
                MambaInit.set(parameter, () -> 0);
            }
        }
        return model;
    }

    static int[] text(int length, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return random.ints(length, 0, VOCABULARY).toArray();
    }
}
