package org.mamba4j.torch.nn;

import java.util.stream.Stream;
import org.mamba4j.model.MemoryConfig;

/** One configuration per choice that a memory has. */
final class MemoryVariants {
    private MemoryVariants() {}

    static Stream<MemoryConfig> all() {
        return Stream.of(
                        memory(),
                        memory().replacement("fifo"),
                        memory().newestSize(1),
                        memory().fusion("gate"),
                        memory().fusion("plain"),
                        memory().fusion("product"),
                        memory().fusion("conv"),
                        memory().fusion("scalar"),
                        memory().readThreshold(0.5),
                        memory().crossToken(false),
                        memory().crossLayer(false),
                        memory().crossLayerTrigger("need"),
                        memory().firstLayer(1).crossLayerPeriod(3),
                        memory().poolGrowth(2).poolGrowthFrom(8).poolLimit(6),
                        memory().importance("random"),
                        memory().chunkSize(1),
                        memory().chunkSize(64))
                .map(MemoryConfig.Builder::build);
    }

    private static MemoryConfig.Builder memory() {
        return MemoryModels.memory();
    }
}
