package org.mamba4j.experiments;

import java.util.SplittableRandom;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Draws;

/**
 * Text that needs no data and is learnt in seconds: each of {@value #LETTERS} letters is followed by one of {@value
 * #CHOICES}, equally likely, so the best perplexity is {@value #CHOICES}.
 *
 * @param length of a window
 * @param rows windows of a batch
 * @param seed of the text, not of the chain, which is always the same
 */
record LetterChain(int length, int rows, long seed) implements BatchSource {
    static final int LETTERS = 26;
    static final int CHOICES = 2;

    @Override
    public Batch batch(long index) {
        SplittableRandom random = Draws.of(seed, index);
        int[] inputs = new int[rows * length];
        int[] targets = new int[inputs.length];
        for (int row = 0; row < rows; row++) {
            int letter = random.nextInt(LETTERS);
            for (int i = row * length; i < (row + 1) * length; i++) {
                inputs[i] = 'a' + letter;
                letter = (7 * letter + 3 + random.nextInt(CHOICES)) % LETTERS;
                targets[i] = 'a' + letter;
            }
        }
        return Batch.of(rows, inputs, targets);
    }

    @Override
    public long batchesPerEpoch() {
        return Long.MAX_VALUE;
    }

    @Override
    public int vocabSize() {
        return 256;
    }
}
