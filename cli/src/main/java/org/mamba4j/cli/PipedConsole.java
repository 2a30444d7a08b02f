package org.mamba4j.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * Reads messages from standard input, one a line, and writes nothing but what the model says to standard output; all else
 * goes to standard error.
 */
final class PipedConsole implements ChatConsole {
    private final BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    @Override
    public Optional<String> next() {
        try {
            StringBuilder message = new StringBuilder();
            String line = in.readLine();
            if (line == null) {
                return Optional.empty();
            }
            while (line != null && line.endsWith(CONTINUED)) {
                message.append(line, 0, line.length() - CONTINUED.length()).append('\n');
                line = in.readLine();
            }
            return Optional.of(message.append(line == null ? "" : line).toString());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void say(String piece) {
        Output.show(piece);
    }

    @Override
    public void endAnswer(String remark) {
        Output.show(System.lineSeparator());
    }

    @Override
    public void note(String lines) {
        System.err.println(lines);
    }

    @Override
    public boolean isInterrupted() {
        return false; // Ctrl-C ends the command, as it does others in a pipe
    }

    @Override
    public void close() {}
}
