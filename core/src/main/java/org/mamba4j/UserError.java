package org.mamba4j;

/**
 * Something that the user can put right: a file that does not exist, a shape that does not fit, a value out of range.
 * The message is one line that names the thing and the remedy; the command line prints it without a stack trace and
 * exits with code 2.
 */
public class UserError extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** @param message one line: what is wrong with which thing, and what to do about it */
    public UserError(String message) {
        super(message);
    }

    /**
     * @param message one line: what is wrong with which thing, and what to do about it
     * @param cause what was caught
     */
    public UserError(String message, Throwable cause) {
        super(message, cause);
    }
}
