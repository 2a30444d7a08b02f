package org.mamba4j.experiments;

import java.util.List;

/**
 * A question, the models that are asked, and how the answers are shown. It is divided into {@link Part}s (a model, a
 * setting, a seed), each of which is run and stored by itself, so that an experiment goes on where it was stopped.
 */
public interface Experiment {
    /** As the command line has it, for example {@code induction-heads}. */
    String name();

    /** What is asked, in one sentence. */
    String question();

    /** Folders of the data that it reads, which {@link SmokeData} can make up; none if it makes up everything itself. */
    default List<String> dataSets() {
        return List.of();
    }

    /** Everything there is to run, the most telling first; parts that cannot run here say why ({@link Part#hindrance}). */
    List<Part> parts(Setup setup);

    /**
     * What came out.
     *
     * @param results of all parts that have run so far; any may be missing
     */
    Findings findings(Results results, Setup setup);
}
