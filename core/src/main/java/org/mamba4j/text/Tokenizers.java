package org.mamba4j.text;

/** Where tokenizers come from. */
public final class Tokenizers {
    private static final Tokenizer BYTES = new ByteTokenizer();

    private Tokenizers() {}

    /** One token per byte; 256 of them. */
    public static Tokenizer bytes() {
        return BYTES;
    }
}
