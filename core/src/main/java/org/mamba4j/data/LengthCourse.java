package org.mamba4j.data;

import java.util.List;

/**
 * How long the sequences of a training run are, and how many make a batch, from batch to batch: long sequences are
 * learnt sooner by a model that has learnt short ones. A function of the batch's number alone, so a run resumes from a
 * number.
 *
 * @param phases in order; the first begins with batch 0; one that another begins with at the same batch has none
 */
public record LengthCourse(List<Phase> phases) {
    /**
     * From one batch on, until the next phase begins.
     *
     * @param firstBatch number of its first batch
     * @param length tokens of a sequence (L)
     * @param rows sequences of a batch (B)
     */
    public record Phase(long firstBatch, int length, int rows) {}

    /** @throws IllegalArgumentException if phases are not in order, or one has no tokens */
    public LengthCourse {
        phases = List.copyOf(phases);
        long last = 0;
        for (Phase phase : phases) {
            if (phase.firstBatch() < last || phase.length() < 1 || phase.rows() < 1) {
                throw new IllegalArgumentException("phases " + phases);
            }
            last = phase.firstBatch();
        }
        if (phases.isEmpty() || phases.getFirst().firstBatch() != 0) {
            throw new IllegalArgumentException("the first phase must begin with batch 0: " + phases);
        }
    }

    /** Batches of one shape for ever. */
    public static LengthCourse constant(int length, int rows) {
        return new LengthCourse(List.of(new Phase(0, length, rows)));
    }

    /** The last phase from the first batch on, under the index that it has here. */
    public LengthCourse atItsEnd() {
        return new LengthCourse(phases.stream()
                .map(phase -> new Phase(0, phase.length(), phase.rows()))
                .toList());
    }

    /** Index of the phase that batch {@code index} is in. */
    public int phaseOf(long index) {
        int current = 0;
        for (int i = 1; i < phases.size() && phases.get(i).firstBatch() <= index; i++) {
            current = i;
        }
        return current;
    }

    /** The phase that batch {@code index} is in. */
    public Phase at(long index) {
        return phases.get(phaseOf(index));
    }
}
