package org.mamba4j.torch;

/** An operation of libtorch failed; the message names the operation and what libtorch says, without its C++ stack. */
public final class TorchException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /**
     * @param message the operation and the reason
     * @param cause libtorch's exception in full
     */
    public TorchException(String message, Throwable cause) {
        super(message, cause);
    }
}
