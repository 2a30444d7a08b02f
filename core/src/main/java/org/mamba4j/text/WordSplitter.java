package org.mamba4j.text;

/** Cuts text into words, within which byte pairs are merged; a pre-tokenizer in the file's terms. */
@FunctionalInterface
interface WordSplitter {
    /** The whole text is one word. */
    WordSplitter NONE = (utf8, from, to) -> to;

    /**
     * Where the word that begins at {@code from} ends.
     *
     * @param utf8 valid UTF-8
     * @param from start of a character, below {@code to}
     * @param to end of the text
     * @return in (from, to]
     */
    int wordEnd(byte[] utf8, int from, int to);
}
