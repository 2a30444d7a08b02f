package org.mamba4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.mamba4j.UserError;
import org.mamba4j.torch.parallel.LostRankException;
import picocli.CommandLine;

/** Turns what went wrong into a line for the user and an exit code. */
final class Failures {
    static final String STACKTRACE = "--stacktrace";

    private Failures() {}

    /** Bad usage: what is wrong, and where the help is. */
    static int badUsage(CommandLine.ParameterException e) {
        CommandLine command = e.getCommandLine();
        String name = command.getCommandSpec().qualifiedName();
        System.err.println("mamba4j: " + oneLine(problem(e)) + " (see " + name + " --help)");
        return CommandLine.ExitCode.USAGE;
    }

    private static String problem(CommandLine.ParameterException e) {
        CommandLine command = e.getCommandLine();
        if (e instanceof CommandLine.UnmatchedArgumentException unmatched
                && !unmatched.isUnknownOption()
                && !command.getSubcommands().isEmpty()) {
            return command.getCommandSpec().qualifiedName() + " has no command "
                    + unmatched.getUnmatched().getFirst() + ": there are "
                    + String.join(", ", command.getSubcommands().keySet());
        }
        return String.valueOf(e.getCause() instanceof UserError cause ? cause.getMessage() : e.getMessage());
    }

    /** An exception while a command ran. */
    static int report(Throwable e, String... args) {
        if (e instanceof Output.Closed) {
            return Output.CLOSED_PIPE;
        }
        boolean trace = Arrays.asList(args).contains(STACKTRACE);
        // Of a lost rank the message says all: what happened is another process's to tell.
        if (e instanceof UserError || e instanceof LostRankException) {
            System.err.println("mamba4j: " + oneLine(String.valueOf(e.getMessage())));
            if (trace) {
                e.printStackTrace();
            }
            return e instanceof UserError ? CommandLine.ExitCode.USAGE : CommandLine.ExitCode.SOFTWARE;
        }
        System.err.println("mamba4j: failed: " + oneLine(e.toString()) + (trace ? "" : whereTraceWent(e, args)));
        if (trace) {
            e.printStackTrace();
        }
        return CommandLine.ExitCode.SOFTWARE;
    }

    private static String whereTraceWent(Throwable e, String... args) {
        StringWriter text = new StringWriter();
        text.append("mamba4j ").append(String.join(" ", args)).append(System.lineSeparator());
        e.printStackTrace(new PrintWriter(text, true));
        try {
            Path file = Files.createTempFile("mamba4j-", ".trace");
            Files.writeString(file, text.toString());
            return " (trace: " + file + ")";
        } catch (IOException full) {
            return " (" + STACKTRACE + " shows where)";
        }
    }

    private static String oneLine(String text) {
        return text.strip().replaceAll("\\s*\\R\\s*", "; ");
    }
}
