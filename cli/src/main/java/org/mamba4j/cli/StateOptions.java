package org.mamba4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import picocli.CommandLine.Option;

/** Where a command takes up what a model has read before, and where it leaves what it has read then. */
final class StateOptions {
    @Option(
            names = "--state-in",
            paramLabel = "FILE",
            description = "Go on from this saved state (default: from nothing).")
    private @Nullable Path in;

    @Option(
            names = "--state-out",
            paramLabel = "FILE",
            description = "Save in the end what the model remembers (default: not saved).")
    private @Nullable Path out;

    /** Whether there may be something that the model has read before. */
    boolean continues() {
        return in != null;
    }

    /**
     * The state to begin with; the caller closes it.
     *
     * @throws UserError if it cannot be read, or could not be saved in the end
     */
    State open(LanguageModel model) {
        if (out != null) {
            checkWritable(out);
        }
        return in == null ? model.newState() : model.loadState(in);
    }

    /** Saves it, if that was asked for. */
    void save(State state) {
        if (out != null) {
            state.save(out);
            System.err.println(Terminal.STDERR.dim("state after " + state.tokensSeen() + " tokens: " + out));
        }
    }

    /** Now rather than after an hour. */
    private static void checkWritable(Path file) {
        Path parent = file.toAbsolutePath().getParent();
        if (Files.isDirectory(file)) {
            throw new UserError(file + " is a folder: name a file for the state");
        }
        if (parent != null && !Files.isDirectory(parent)) {
            throw new UserError("there is no folder " + parent + " for the state " + file + ": make it first");
        }
    }
}
