package org.mamba4j.data;

/**
 * Where batches come from: text, or a synthetic task. A batch is a function of its number alone, so a run resumes from
 * a number, workers share a source by taking every k-th number, and nothing about the order is ever saved.
 *
 * <p>Implementations are thread-safe.
 */
public interface BatchSource {
    /**
     * The batch with number {@code index}: equal tokens whenever it is asked for. Its shape may differ from batch to
     * batch.
     *
     * @param index from 0 on; a training source goes on for ever, an evaluation's ends at {@link #batchesPerEpoch}
     * @throws IndexOutOfBoundsException if there is no such batch
     */
    Batch batch(long index);

    /**
     * How many batches it takes to see everything once: an evaluation reads exactly so many. {@link Long#MAX_VALUE}
     * for a source that makes up its data.
     */
    long batchesPerEpoch();

    /** All tokens are in [0, vocabSize). */
    int vocabSize();
}
