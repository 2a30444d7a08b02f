package org.mamba4j.cli;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;

/**
 * The {@code mamba4j} command.
 *
 * <p>Exit codes: 0 done; 2 something that the user can put right (bad usage, {@link org.mamba4j.UserError}): one line
 * on standard error; 1 a failure of ours: one line and where its trace was written; 130 Ctrl-C; 141, and not
 * a word, when nobody reads standard output any more.
 */
public final class Main {
    private Main() {}

    /** Runs the command and ends the process. */
    public static void main(String[] args) {
        eraseIncubatorWarning();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        PrintStream err = new PrintStream(System.err, true, StandardCharsets.UTF_8);
        System.setOut(out);
        System.setErr(err);
        logInOneLine();
        System.exit(run(args));
    }

    /** What classes below log is a line of the command's, as errors are, unless a property says otherwise. */
    static void logInOneLine() {
        System.getProperties().putIfAbsent("java.util.logging.SimpleFormatter.format", "mamba4j: %5$s%6$s%n");
    }

    /** Runs the command; what tests call. */
    static int run(String... args) {
        CommandLine command = commandLine();
        try {
            return command.execute(args);
        } catch (Error e) {
            // picocli hands exceptions to Failures, but lets errors through.
            return Failures.report(e, args);
        }
    }

    static CommandLine commandLine() {
        return new CommandLine(new RootCommand())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setUsageHelpAutoWidth(true)
                .setAbbreviatedOptionsAllowed(false)
                .setExecutionExceptionHandler((e, command, result) ->
                        Failures.report(e, result.originalArgs().toArray(String[]::new)))
                .setParameterExceptionHandler((e, args) -> Failures.badUsage(e));
    }

    /**
     * The JVM warns of the vector module on the first line of standard error whenever it starts; no flag turns that
     * off. On a terminal, where it is certain to be the line above, it is taken back.
     */
    private static void eraseIncubatorWarning() {
        boolean incubator =
                ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        if (incubator && Terminal.STDERR.isInteractive() && Terminal.STDERR.columns() >= 60) {
            System.err.print("\u001b[1A\r\u001b[2K");
            System.err.flush();
        }
    }
}
