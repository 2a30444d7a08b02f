package org.mamba4j.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "eval",
        description = "Measure a trained model.",
        synopsisSubcommandLabel = "EVALUATION",
        subcommands = {
            PerplexityCommand.class,
            PasskeyCommand.One.class,
            PasskeyCommand.Several.class,
            DocumentRetrievalCommand.class
        },
        footer = {"", "Each says more:  ./mamba4j eval passkey --help"})
final class EvalCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(
                spec.commandLine(), "say what to evaluate: perplexity, passkey, multi-key or document-retrieval");
    }
}
