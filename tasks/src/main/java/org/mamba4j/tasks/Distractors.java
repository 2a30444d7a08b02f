package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.mamba4j.text.Tokenizer;

/**
 * Text that looks like what is asked for and is not: numbers of five digits that are nobody's key, the names of keys
 * without any, and dialogue with questions and answers. Books have few of those, so a model that learns from books alone
 * may come to note every digit, or every name; in a long text such notes push out the ones that matter.
 */
final class Distractors {
    private static final List<String> SENTENCES = List.of(
            " He counted # of them before noon. ",
            " The ledger shows # in the first year and # in the second. ",
            " No. #, said the clerk, and wrote it down. ",
            " It was # miles, or #, nobody knew. ",
            " She remembered #, but not what it was for. ",
            " The ticket had the number # on it. ",
            " Nothing was left under the @ by the door. ",
            " They spoke of @ and of @, and of the way back. ",
            " Remember @, he said. It was long ago. ",
            " The pass lay under snow, and @ had lost the key. ",
            " The key of the house was with @. ",
            " \"What is the number of @?\" \"There is none.\" ",
            " \"What is the colour of @?\" \"It is that of @.\" ",
            " \"Do you remember #?\" \"I remember @.\" ",
            " \"What is it?\" \"It is #.\" \"Remember it.\" ",
            " \"Where is @?\" she asked. \"At number #.\" ");

    private static final Pattern BLANK = Pattern.compile("[#@]");

    /** Tokens of text for each such sentence, at least. */
    private static final int SPACING = 256;

    private final Tokenizer tokenizer;

    Distractors(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /** {@code length} tokens of text with some of them at random places. */
    int[] into(Filler filler, int length, SplittableRandom random) {
        int wanted = 1 + random.nextInt(Math.max(1, length / SPACING));
        List<int[]> sentences = new ArrayList<>();
        int tokens = 0;
        for (int i = 0; i < wanted; i++) {
            int[] sentence = tokenizer.encode(sentence(random));
            if (2 * (tokens + sentence.length) <= length) {
                sentences.add(sentence);
                tokens += sentence.length;
            }
        }
        int[] text = filler.draw(length - tokens, random);
        Haystack haystack = new Haystack();
        for (int[] sentence : sentences) {
            haystack.add(
                    random.nextInt(text.length + 1), new PassKeys.Sentence(sentence, sentence.length, sentence.length));
        }
        return haystack.text(text, new boolean[length]);
    }

    private static String sentence(SplittableRandom random) {
        Matcher blanks = BLANK.matcher(SENTENCES.get(random.nextInt(SENTENCES.size())));
        return blanks.replaceAll(blank -> blank.group().equals("#")
                ? PassKeys.digits(random)
                : PassKeys.NAMES.get(random.nextInt(PassKeys.NAMES.size())));
    }
}
