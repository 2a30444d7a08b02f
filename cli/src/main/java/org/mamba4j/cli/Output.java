package org.mamba4j.cli;

/**
 * Text for standard output from a command that goes on for long. Java's stream overlooks that nobody reads any more, as
 * after {@code | head -1}; this notices, and ends the command quietly, as the system ends other programs there.
 */
final class Output {
    /** What a shell reports of a program that a closed pipe has ended. */
    static final int CLOSED_PIPE = 141;

    private static final int BUFFERED = 1 << 13;

    private final StringBuilder buffer = new StringBuilder();

    /** Thrown when nobody reads what is printed. */
    static final class Closed extends RuntimeException {
        private static final long serialVersionUID = 1;

        Closed() {
            super("nobody reads standard output");
        }
    }

    /** Prints now. */
    static void show(String text) {
        System.out.print(text);
        if (System.out.checkError()) {
            throw new Closed();
        }
    }

    /** Prints sooner or later. */
    void line(String text) {
        buffer.append(text).append(System.lineSeparator());
        if (buffer.length() > BUFFERED) {
            flush();
        }
    }

    /** Prints what has not been. */
    void flush() {
        if (!buffer.isEmpty()) {
            show(buffer.toString());
            buffer.setLength(0);
        }
    }
}
