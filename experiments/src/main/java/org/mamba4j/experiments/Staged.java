package org.mamba4j.experiments;

import java.util.List;
import java.util.function.Function;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.LengthCourse;

/**
 * One source after the other: short sequences first, for example, from which a model learns sooner what it needs for long
 * ones.
 *
 * @param stages in order, the first from batch 0 on; all of one vocabulary
 */
record Staged(List<Stage> stages) implements BatchSource {
    /**
     * A part of a training.
     *
     * @param firstBatch number of its first batch
     * @param source of its batches
     */
    record Stage(long firstBatch, BatchSource source) {}

    /** A source for each phase of {@code course}. */
    static Staged of(LengthCourse course, Function<LengthCourse.Phase, BatchSource> sources) {
        return new Staged(course.phases().stream()
                .map(phase -> new Stage(phase.firstBatch(), sources.apply(phase)))
                .toList());
    }

    Staged {
        stages = List.copyOf(stages);
        if (stages.isEmpty() || stages.getFirst().firstBatch() != 0) {
            throw new IllegalArgumentException("stages " + stages);
        }
    }

    @Override
    public Batch batch(long index) {
        return stages.stream()
                .filter(stage -> stage.firstBatch() <= index)
                .reduce(stages.getFirst(), (before, stage) -> stage)
                .source()
                .batch(index);
    }

    @Override
    public long batchesPerEpoch() {
        return Long.MAX_VALUE;
    }

    @Override
    public int vocabSize() {
        return stages.getFirst().source().vocabSize();
    }
}
