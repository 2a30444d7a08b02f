package org.mamba4j.data;

import java.util.List;
import org.mamba4j.UserError;

/**
 * Endless windows of a text whose length follows a course: batch i is batch i of {@link Windows#shuffled} of the length
 * that holds then.
 */
public final class CourseWindows implements BatchSource {
    private final LengthCourse course;
    private final List<Windows> windows;

    /**
     * @param seed of the order
     * @throws UserError if the text is shorter than a window
     */
    public CourseWindows(TokenView tokens, LengthCourse course, long seed) {
        this.course = course;
        this.windows = course.phases().stream()
                .map(phase -> Windows.shuffled(tokens, phase.length(), phase.rows(), seed))
                .toList();
    }

    @Override
    public Batch batch(long index) {
        return windows.get(course.phaseOf(index)).batch(index);
    }

    /** Of the longest windows, which come last. */
    @Override
    public long batchesPerEpoch() {
        return windows.getLast().batchesPerEpoch();
    }

    @Override
    public int vocabSize() {
        return windows.getLast().vocabSize();
    }
}
