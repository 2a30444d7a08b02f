package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Filler text with sentences put into it. */
final class Haystack {
    private final List<Needle> needles = new ArrayList<>();
    private int length;

    /** @param place tokens of filler before it */
    private record Needle(int place, PassKeys.Sentence sentence) {}

    /** Puts {@code sentence} behind {@code place} tokens of filler; at one place, the one added first stands first. */
    void add(int place, PassKeys.Sentence sentence) {
        needles.add(new Needle(place, sentence));
        length += sentence.tokens().length;
    }

    /** Tokens of all sentences. */
    int needleTokens() {
        return length;
    }

    /**
     * The text.
     *
     * @param answers where it is written which tokens belong to an answer; as long as the text
     */
    int[] text(int[] filler, boolean[] answers) {
        needles.sort(Comparator.comparingInt(Needle::place));
        int[] text = new int[filler.length + length];
        int read = 0;
        int at = 0;
        for (Needle needle : needles) {
            System.arraycopy(filler, read, text, at, needle.place - read);
            at += needle.place - read;
            read = needle.place;
            PassKeys.Sentence sentence = needle.sentence;
            System.arraycopy(sentence.tokens(), 0, text, at, sentence.tokens().length);
            for (int i = sentence.answerFrom(); i < sentence.answerTo(); i++) {
                answers[at + i] = true;
            }
            at += sentence.tokens().length;
        }
        System.arraycopy(filler, read, text, at, filler.length - read);
        return text;
    }
}
