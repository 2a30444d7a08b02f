package org.mamba4j.torch.bench;

/** What was to be measured does not compute what it should. */
public final class WrongAnswerException extends RuntimeException {
    private static final long serialVersionUID = 1;

    WrongAnswerException(String message) {
        super(message);
    }
}
