package org.mamba4j.inference;

import java.util.Arrays;
import java.util.List;
import org.mamba4j.text.Tokenizer;

/** Finds stop texts in tokens that were generated without looking for them. */
public final class StopTexts {
    private StopTexts() {}

    /** Of each of {@code generated} the tokens up to the one that completes one of {@code stops}, or all. */
    public static List<int[]> cut(List<int[]> generated, List<String> stops, Tokenizer tokenizer) {
        return generated.stream()
                .map(tokens -> cut(tokens, new StreamedText(stops), tokenizer))
                .toList();
    }

    private static int[] cut(int[] tokens, StreamedText text, Tokenizer tokenizer) {
        for (int i = 0; i < tokens.length; i++) {
            if (text.add(tokenizer.bytes(tokens[i]), piece -> {})) {
                return Arrays.copyOf(tokens, i + 1);
            }
        }
        return tokens;
    }
}
