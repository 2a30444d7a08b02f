package org.mamba4j.tasks;

import java.util.SplittableRandom;
import org.mamba4j.text.Tokenizer;

/** Stretches of text that stand in for paragraphs where a file of questions has too few: whole words, on one line. */
final class NoiseDocuments {
    private static final int LEAST_BYTES = 300;
    private static final int MOST_BYTES = 1200;

    private final Filler text;
    private final Tokenizer tokenizer;

    NoiseDocuments(Filler text, Tokenizer tokenizer) {
        this.text = text;
        this.tokenizer = tokenizer;
    }

    /** One of {@value #LEAST_BYTES} to {@value #MOST_BYTES} tokens, or shorter where there is less room. */
    String draw(int mostTokens, SplittableRandom random) {
        return draw(LEAST_BYTES, MOST_BYTES, mostTokens, random);
    }

    /** One as a sequence of {@code length} tokens has room for some of: shorter ones in shorter sequences. */
    String drawFor(int length, int mostTokens, SplittableRandom random) {
        int least = Math.clamp(length / 24, 40, LEAST_BYTES);
        return draw(least, Math.clamp(length / 8, 2 * least, MOST_BYTES), mostTokens, random);
    }

    private String draw(int least, int most, int room, SplittableRandom random) {
        int tokens = Math.min(room, least + random.nextInt(most - least));
        String drawn = tokenizer.decode(text.draw(tokens, random)).replaceAll("\\s+", " ");
        int from = drawn.indexOf(' ');
        int to = drawn.lastIndexOf(' ');
        return from < 0 || from == to ? drawn : drawn.substring(from + 1, to);
    }

    /** Some words in a row from it: what a quotation asks for. */
    static String words(String document, SplittableRandom random) {
        String[] words = document.split(" ");
        int count = Math.min(words.length, 5 + random.nextInt(5));
        int from = random.nextInt(words.length - count + 1);
        return String.join(" ", java.util.Arrays.copyOfRange(words, from, from + count))
                .replace("\"", "");
    }
}
