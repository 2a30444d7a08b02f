package org.mamba4j.text;

import java.nio.file.Path;

/** Turns text into token ids and back. Immutable and safe to share between threads. */
public interface Tokenizer {
    /**
     * Ids of {@code text}; an empty text gives no ids. Nothing is added at the front or the end. Half a surrogate pair
     * is read as a question mark, which is what Java makes of it in UTF-8.
     */
    int[] encode(String text);

    /**
     * Ids of UTF-8 (or, for the byte tokenizer, any) bytes. What is not UTF-8 is read as U+FFFD, as Java does.
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

    /**
     * 64 hexadecimal digits that differ between tokenizers that may give different ids; the same in every run. Files
     * of tokens carry it.
     */
    String fingerprint();

    /**
     * A place where a long text may be cut without changing its ids: {@code encode} of the bytes before it and of
     * those from it on (any number of which may follow later) give together what {@code encode} of all gives.
     *
     * @param utf8 the text, of which {@code length} bytes are known
     * @return the last such place found, in [0, length]; 0 when there is none
     */
    int splitPoint(byte[] utf8, int length);

    /**
     * Writes into a checkpoint folder what {@link Tokenizers#load} needs to find this tokenizer.
     *
     * @param folder exists
     * @throws org.mamba4j.UserError if the file cannot be written
     */
    void save(Path folder);
}
