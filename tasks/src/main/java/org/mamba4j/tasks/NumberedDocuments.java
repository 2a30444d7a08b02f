package org.mamba4j.tasks;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.mamba4j.text.Tokenizer;

/**
 * The wording of document retrieval, for training and evaluation alike: documents with distinct numbers from 000 to 999,
 * and the question which of them answers something; the answer is the number.
 */
final class NumberedDocuments {
    static final int NUMBERS = 1000;

    private final Tokenizer tokenizer;

    NumberedDocuments(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /** {@code count} numbers, all different. */
    static int[] numbers(int count, SplittableRandom random) {
        int[] all = new int[NUMBERS];
        Arrays.setAll(all, i -> i);
        for (int i = 0; i < count; i++) {
            int other = i + random.nextInt(NUMBERS - i);
            int swapped = all[i];
            all[i] = all[other];
            all[other] = swapped;
        }
        return Arrays.copyOf(all, count);
    }

    static String digits(int number) {
        return String.format(java.util.Locale.ROOT, "%03d", number);
    }

    int[] document(int number, String text) {
        return tokenizer.encode(" Document " + digits(number) + ": " + text + "\n");
    }

    /** Asks which document answers {@code question}. */
    PassKeys.Sentence question(String question, int number) {
        return PassKeys.answered(
                tokenizer, " Question: " + question + " The answer is in document ", digits(number), ".\n");
    }

    /** Asks in which document {@code words} stand. */
    PassKeys.Sentence quotation(String words, int number) {
        return question("where does it say \"" + words + "\"?", number);
    }
}
