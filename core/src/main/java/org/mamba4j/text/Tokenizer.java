package org.mamba4j.text;

/** Turns text into token ids and back. Immutable and safe to share between threads. */
public interface Tokenizer {
    /** Ids of {@code text}; an empty text gives no ids. Nothing is added at the front or the end. */
    int[] encode(String text);

    /**
     * Ids of UTF-8 (or, for the byte tokenizer, any) bytes.
     *
     * @param utf8 not modified
     */
    int[] encode(byte[] utf8);

    /**
     * The bytes that one token stands for; a character may be spread over several tokens.
     *
     * @throws org.mamba4j.UserError if {@code token} is not in the vocabulary
     */
    byte[] bytes(int token);

    /** The text of {@code tokens}; bytes that are not UTF-8 become U+FFFD. */
    String decode(int[] tokens);

    /** Ids are in [0, vocabSize). A model's embedding may have more rows (padding). */
    int vocabSize();
}
