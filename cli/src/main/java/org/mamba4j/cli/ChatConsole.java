package org.mamba4j.cli;

import java.util.Optional;

/** Where a conversation is held: at a terminal, or between a pipe and another. */
interface ChatConsole extends AutoCloseable {
    /** The mark at the end of a line that is not the last of its message. */
    String CONTINUED = "\\";

    /** The next message or command, its lines separated by line feeds; none when there is no more. */
    Optional<String> next();

    /** Shows a piece of what the model says. */
    void say(String piece);

    /** Ends what the model says. */
    void endAnswer(String remark);

    /** Shows lines that are not the model's. */
    void note(String lines);

    /** Whether the user has asked for an end of what the model is saying; false again at the next {@link #next}. */
    boolean isInterrupted();

    @Override
    void close();
}
