package org.mamba4j.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "bench",
        description = "Measure how fast this machine trains and runs models.",
        synopsisSubcommandLabel = "WHAT",
        subcommands = {
            BenchScanCommand.class,
            BenchConvCommand.class,
            BenchTrainCommand.class,
            BenchGenerateCommand.class
        },
        footer = {"", "Example:  ./mamba4j bench train --device cuda --precision bfloat16"})
final class BenchCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "say what to measure: scan, conv, train or generate");
    }
}
