package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.SamplingOptions;
import picocli.CommandLine.Option;

/** The command line's spelling of {@link GenerationOptions}, whose defaults it shows. */
final class GenerationArguments {
    private static final GenerationOptions DEFAULTS = GenerationOptions.DEFAULTS;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Generate at most so many tokens (default: ${DEFAULT-VALUE}).")
    private int maxNewTokens = DEFAULTS.maxNewTokens();

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description =
                    "Below 1 more careful, above 1 more varied; 0 always takes the most likely token (default: ${DEFAULT-VALUE}).")
    private double temperature = DEFAULTS.sampling().temperature();

    @Option(
            names = "--top-k",
            paramLabel = "K",
            description = "Choose among the K most likely tokens; 0 among all (default: ${DEFAULT-VALUE}).")
    private int topK = DEFAULTS.sampling().topK();

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description =
                    "Choose among the fewest tokens whose probabilities sum to P; 1 among all (default: ${DEFAULT-VALUE}).")
    private double topP = DEFAULTS.sampling().topP();

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description =
                    "Choose among tokens at least P times as likely as the most likely one (default: ${DEFAULT-VALUE}).")
    private double minP = DEFAULTS.sampling().minP();

    @Option(
            names = "--repetition-penalty",
            paramLabel = "R",
            description = "Above 1: make tokens that occurred before less likely (default: ${DEFAULT-VALUE}).")
    private double repetitionPenalty = DEFAULTS.sampling().repetitionPenalty();

    @Option(names = "--seed", paramLabel = "N", description = "Same seed, same text (default: ${DEFAULT-VALUE}).")
    private long seed = DEFAULTS.sampling().seed();

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description = "End before this text appears; may be given several times (default: none).")
    private List<String> stop = new ArrayList<>();

    /** @throws org.mamba4j.UserError if a value is out of its range */
    GenerationOptions toOptions() {
        return DEFAULTS.withMaxNewTokens(maxNewTokens)
                .withStop(stop)
                .withSampling(new SamplingOptions(temperature, topK, topP, minP, repetitionPenalty, seed));
    }
}
