package org.mamba4j.torch;

import org.mamba4j.UserError;

/** More memory was asked for than the machine or its GPU has: smaller work of the same kind may fit. */
public final class NotEnoughMemory extends UserError {
    private static final long serialVersionUID = 1L;

    NotEnoughMemory(String message, Throwable cause) {
        super(message, cause);
    }
}
