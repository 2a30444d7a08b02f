package org.mamba4j.cli;

import org.mamba4j.inference.LanguageModel;
import org.mamba4j.tasks.Subject;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.Option;

/** How many texts an evaluation reads at once. */
final class ReaderOptions {
    private static final int BY_DEVICE = 0;

    @Option(
            names = "--readers",
            paramLabel = "N",
            defaultValue = "0",
            description =
                    "Texts that are read at the same time; the figures do not depend on it. 0 leaves it to the engine"
                            + " (default: ${DEFAULT-VALUE}).")
    private int readers;

    /** {@code model}, to be measured. */
    Subject subject(ModelOptions options, LanguageModel model, Tokenizer tokenizer) {
        if (readers < 0) {
            throw new org.mamba4j.UserError("--readers " + readers + ": must be 0 or more");
        }
        return new Subject(model, tokenizer, readers == BY_DEVICE ? options.readers() : readers);
    }
}
