package org.mamba4j.cli;

import org.jspecify.annotations.Nullable;

/**
 * What one of the two output streams leads to. The launcher tells it through system properties ({@code
 * mamba4j.stdout}, {@code mamba4j.stderr}: the width in columns, absent for a file or a pipe), as Java knows only
 * whether input and output are both interactive.
 */
enum Terminal {
    STDOUT("mamba4j.stdout"),
    STDERR("mamba4j.stderr");

    private static final int USUAL_COLUMNS = 80;

    private final String property;

    Terminal(String property) {
        this.property = property;
    }

    /** Whether what is printed can be overwritten. */
    boolean isInteractive() {
        @Nullable String value = System.getProperty(property);
        return value != null && !"dumb".equals(System.getenv("TERM"));
    }

    /** Width of a line; 80 where it is not known. */
    int columns() {
        try {
            int columns = Integer.parseInt(System.getProperty(property, ""));
            return columns > 0 ? columns : USUAL_COLUMNS;
        } catch (NumberFormatException e) {
            return USUAL_COLUMNS;
        }
    }

    /** {@code text} in bold where it is shown to a person. */
    String bold(String text) {
        return styled("1", text);
    }

    /** {@code text} in a weaker colour where it is shown to a person. */
    String dim(String text) {
        return styled("2", text);
    }

    private String styled(String code, String text) {
        boolean colour = isInteractive() && System.getenv("NO_COLOR") == null;
        return colour ? "\u001b[" + code + "m" + text + "\u001b[0m" : text;
    }
}
