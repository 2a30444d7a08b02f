package org.mamba4j.tasks;

import java.util.Arrays;

/**
 * A stretch of one document as tokens.
 *
 * @param document the document's name
 * @param offset its first token's place in the document
 * @param tokens (L), not to be modified
 */
@SuppressWarnings("ArrayRecordComponent") // identity is enough: windows are never compared
public record Window(String document, long offset, int[] tokens) {
    /** The last {@code length} tokens. */
    int[] end(int length) {
        if (length > tokens.length) {
            throw new IllegalArgumentException("window of " + tokens.length + " tokens has no last " + length);
        }
        return Arrays.copyOfRange(tokens, tokens.length - length, tokens.length);
    }
}
