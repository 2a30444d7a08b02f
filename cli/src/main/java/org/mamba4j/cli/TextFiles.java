package org.mamba4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.mamba4j.UserError;

/** Texts that a command was given: names of files, and {@code -} for standard input. */
final class TextFiles {
    private static final String STANDARD_INPUT = "-";

    private TextFiles() {}

    static boolean isStandardInput(String file) {
        return file.equals(STANDARD_INPUT);
    }

    /** What to call it in a sentence. */
    static String name(String file) {
        return isStandardInput(file) ? "standard input" : file;
    }

    /** @throws UserError if there is no such file */
    static void check(String file) {
        Path path = Path.of(file);
        if (!isStandardInput(file) && Files.isDirectory(path)) {
            throw new UserError(file + " is a folder: give the files in it, such as " + file + "/*");
        }
        if (!isStandardInput(file) && !Files.exists(path)) {
            throw noFile(file);
        }
    }

    static InputStream open(String file) throws IOException {
        return isStandardInput(file) ? System.in : Files.newInputStream(Path.of(file));
    }

    /** What to say of a file that could not be opened or read. */
    static UserError unreadable(String file, IOException cause) {
        return cause instanceof NoSuchFileException
                ? noFile(file)
                : new UserError(file + " cannot be read (" + cause.getMessage() + ")", cause);
    }

    private static UserError noFile(String file) {
        return new UserError("there is no file " + file);
    }
}
