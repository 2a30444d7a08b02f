package org.mamba4j.experiments;

import java.util.List;
import org.mamba4j.UserError;

/** The register of experiments. */
public final class Experiments {
    private static final List<Experiment> ALL = List.of(
            new SelectiveCopyingExperiment(),
            new InductionHeadsExperiment(),
            new DnaExperiment(),
            new AudioExperiment(),
            new AblationsExperiment(),
            new EfficiencyExperiment(),
            new ScalingExperiment(),
            new MemMambaTablesExperiment());

    private Experiments() {}

    /** All of them. */
    public static List<Experiment> all() {
        return ALL;
    }

    /** @throws UserError if there is none of that name */
    public static Experiment named(String name) {
        return ALL.stream()
                .filter(one -> one.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new UserError("there is no experiment " + name + ": there are "
                        + String.join(", ", ALL.stream().map(Experiment::name).toList())));
    }
}
