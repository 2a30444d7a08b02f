package org.mamba4j.experiments;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.TrainingMixture;

/** Books, byte by byte: to learn from, and others to be asked about. */
final class Books {
    /** Kinds of bytes. */
    static final int VOCABULARY = 256;

    private Books() {}

    /**
     * The first bytes of a part of the books.
     *
     * @param part {@code train}, {@code valid} or {@code test}
     * @param most bytes that are kept
     * @throws UserError if there is nothing
     */
    static Filler read(Setup setup, String part, int most) {
        Path folder = setup.data().resolve("books").resolve(part);
        int[] all = new int[most];
        int[] size = {0};
        Corpus.of(folder.toString()).forEach(document -> {
            byte[] bytes = size[0] < most ? document.bytes() : new byte[0];
            for (int i = 0; i < bytes.length && size[0] < most; i++) {
                all[size[0]++] = bytes[i] & 0xFF;
            }
        });
        if (size[0] == 0) {
            throw new UserError("there are no books in " + folder + ": give the folder of the data sets with --data");
        }
        return Filler.of(Arrays.copyOf(all, size[0]));
    }

    /** Endless batches of text to learn from. */
    static BatchSource source(Filler text, int length, int rows, long seed) {
        return new TrainingMixture(
                new TrainingMixture.Settings(text, LengthCourse.constant(length, rows), VOCABULARY, 1, 1, seed));
    }

    /** A batch to be measured on, without weights; the same for the same seed. */
    static Batch test(Filler text, int length, int rows, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] inputs = new int[rows * length];
        int[] targets = new int[rows * length];
        for (int row = 0; row < rows; row++) {
            int[] drawn = text.draw(length + 1, random);
            System.arraycopy(drawn, 0, inputs, row * length, length);
            System.arraycopy(drawn, 1, targets, row * length, length);
        }
        return Batch.of(rows, inputs, targets);
    }
}
