package org.mamba4j.torch.kernel;

import java.util.List;

/**
 * The parameters of a layer's memory under the names that checkpoints give them.
 *
 * @param threshold no trained parameter: only its value is there
 * @param reads of the layer's own notes, and of those of layers below: two, one or none
 */
public record MemoryWeights(
        TrainedWeight norm,
        TrainedWeight scoreIn,
        TrainedWeight scoreInBias,
        TrainedWeight scoreOut,
        TrainedWeight scoreOutBias,
        TrainedWeight threshold,
        TrainedWeight summary,
        TrainedWeight summaryBias,
        List<Read> reads) {
    /**
     * Those of one way of reading.
     *
     * @param below whether it reads the notes of layers below
     */
    public record Read(
            boolean below,
            TrainedWeight query,
            TrainedWeight key,
            TrainedWeight value,
            TrainedWeight nothing,
            TrainedWeight gate,
            TrainedWeight gateBias) {}
}
