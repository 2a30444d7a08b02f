package org.mamba4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.Properties;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** {@code mamba4j} without a command says what there is. */
@Command(
        name = "mamba4j",
        description = "Sequence models that remember, on the JVM: train, evaluate, run and study Mamba.",
        mixinStandardHelpOptions = true,
        scope = ScopeType.INHERIT,
        versionProvider = RootCommand.Version.class,
        synopsisSubcommandLabel = "COMMAND",
        descriptionHeading = "%n",
        optionListHeading = "%nOptions:%n",
        parameterListHeading = "%nArguments:%n",
        commandListHeading = "%nCommands:%n",
        subcommands = {
            DemoCommand.class,
            TrainCommand.class,
            GenerateCommand.class,
            ChatCommand.class,
            ScoreCommand.class,
            EmbedCommand.class,
            EvalCommand.class,
            LogitsCommand.class,
            MemoryCommand.class,
            ExperimentCommand.class,
            DynamicsCommand.class,
            BenchCommand.class,
            QuantizeCommand.class,
            ConvertCommand.class,
            InspectCommand.class,
            TokenizeCommand.class,
            CompletionCommand.class,
            HelpCommand.class
        },
        footer = {"", "Begin with: ./mamba4j demo"})
final class RootCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Option(names = Failures.STACKTRACE, scope = ScopeType.INHERIT, description = "Show the stack trace of a failure.")
    @SuppressWarnings("UnusedVariable") // Failures looks for it in the arguments, as it may fail before they are parsed
    private boolean stacktrace;

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }

    /** The release, the Java it runs on and the machine. */
    static final class Version implements CommandLine.IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {
                "mamba4j " + release() + " (Java " + Runtime.version() + ", " + System.getProperty("os.name") + " "
                        + System.getProperty("os.arch") + ")"
            };
        }

        static String release() {
            return property("version");
        }

        /** What git says of the sources that this was built from; {@code unknown} where the build was not told. */
        static String commit() {
            String commit = System.getProperty("mamba4j.commit", property("commit"));
            return commit.isBlank() || commit.contains("$") ? "unknown" : commit;
        }

        private static String property(String key) {
            Properties properties = new Properties();
            try (InputStream in = Objects.requireNonNull(RootCommand.class.getResourceAsStream("version.properties"))) {
                properties.load(in);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return properties.getProperty(key, "unknown");
        }
    }
}
