package org.mamba4j.torch.parallel;

/** The other ranks cannot be reached any more: one of them has died, hangs, or the network is down. One line. */
public final class LostRankException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** With the line that the user is shown. */
    public LostRankException(String message, Throwable cause) {
        super(message, cause);
    }
}
