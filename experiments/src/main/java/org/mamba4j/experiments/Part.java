package org.mamba4j.experiments;

import java.util.List;

/** The least of an experiment that is run at once: mostly one model, trained with one seed and measured. */
public interface Part {
    /** Name of the model, as tables have it. */
    String model();

    /** What of the experiment, for example a training length; empty where there is only one. */
    String setting();

    /** What everything in it is drawn from. */
    long seed();

    /** All that decides its result, as text: a stored result of another recipe does not count. */
    String recipe();

    /** What keeps it from being run, for example a model family that does not exist; empty if nothing does. */
    default String hindrance() {
        return "";
    }

    /** About how long it takes, in seconds: measured on a few steps, or known. */
    double projectSeconds();

    /**
     * Runs it to its end.
     *
     * @param run is told how far it is, and knows when time is up: {@link PartRun#pauseIfTimeIsUp}
     * @return at least one
     */
    List<Result> run(PartRun run);
}
