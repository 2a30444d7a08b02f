package org.mamba4j.tasks;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.mamba4j.text.Tokenizer;

/**
 * The sentences of the passkey task, for training and evaluation alike: a key of five digits that belongs to a name is
 * stated in the middle of other text and asked for later.
 */
final class PassKeys {
    /** Whose keys they are. */
    static final List<String> NAMES = List.of(
            "amber", "birch", "cedar", "coral", "daisy", "ember", "fern", "garnet", "hazel", "iris", "jade", "kestrel",
            "lotus", "maple", "nectar", "olive", "pearl", "quartz", "raven", "sage", "tulip", "umber", "velvet",
            "willow", "yarrow", "zephyr", "copper", "indigo", "marble", "onyx");

    private static final int DIGITS = 5;

    private final Tokenizer tokenizer;

    PassKeys(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * A key.
     *
     * @param name one of {@link #NAMES}
     * @param digits five of them
     */
    record Key(String name, String digits) {}

    /**
     * A sentence as tokens.
     *
     * @param tokens all of them
     * @param answerFrom first token that holds a part of the answer; the end where there is none
     * @param answerTo one behind the last
     */
    @SuppressWarnings("ArrayRecordComponent") // identity is enough: sentences are never compared
    record Sentence(int[] tokens, int answerFrom, int answerTo) {
        /** What stands before the answer. */
        int[] prompt() {
            return Arrays.copyOf(tokens, answerFrom);
        }

        /** The answer. */
        int[] answer() {
            return Arrays.copyOfRange(tokens, answerFrom, answerTo);
        }
    }

    /** {@code count} keys of different names. */
    static List<Key> draw(int count, SplittableRandom random) {
        List<String> names = new ArrayList<>(NAMES);
        List<Key> keys = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Collections.swap(names, i, i + random.nextInt(names.size() - i));
            keys.add(new Key(names.get(i), digits(random)));
        }
        return keys;
    }

    /** As many as a key has. */
    static String digits(SplittableRandom random) {
        return String.format(Locale.ROOT, "%0" + DIGITS + "d", random.nextInt(100_000));
    }

    /** States the key, twice. */
    Sentence statement(Key key) {
        String text = " The pass key of " + key.name + " is " + key.digits + ". Remember it. " + key.digits
                + " is the pass key of " + key.name + ". ";
        int[] tokens = tokenizer.encode(text);
        return new Sentence(tokens, tokens.length, tokens.length);
    }

    /** Asks for the key and answers. */
    Sentence question(Key key) {
        String prompt = " What is the pass key of " + key.name + "? The pass key of " + key.name + " is ";
        return answered(tokenizer, prompt, key.digits, ". ");
    }

    /** {@code prompt}, {@code answer} and {@code end} as one text, with the tokens known that hold a part of the answer. */
    static Sentence answered(Tokenizer tokenizer, String prompt, String answer, String end) {
        int[] tokens = tokenizer.encode(prompt + answer + end);
        int answerFrom = prompt.getBytes(StandardCharsets.UTF_8).length;
        int answerTo = answerFrom + answer.getBytes(StandardCharsets.UTF_8).length;
        int bytes = 0;
        int from = tokens.length;
        int to = tokens.length;
        for (int i = 0; i < tokens.length; i++) {
            int tokenEnd = bytes + tokenizer.bytes(tokens[i]).length;
            if (tokenEnd > answerFrom && from == tokens.length) {
                from = i;
            }
            if (tokenEnd >= answerTo) {
                to = i + 1;
                break;
            }
            bytes = tokenEnd;
        }
        return new Sentence(tokens, from, to);
    }
}
