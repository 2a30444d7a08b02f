package org.mamba4j.tasks;

import java.util.SplittableRandom;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Draws;

/**
 * The induction heads task [1]: somewhere in a row of random symbols stands a prefix, and a symbol after it; at the end
 * stands the prefix again, and the model must say that symbol. Who can do it has found something once seen by what stood
 * before it, however long ago: in-context learning in its smallest form [2].
 *
 * <p>Vocabulary: {@value #SYMBOLS} symbols, the prefix and one token that never occurs, as in the code that the papers used
 * [3]. Only the last position has a target, so a model that guesses is right once in {@value #SYMBOLS} times.
 *
 * <p>References: [1] D. Fu et al., Hungry Hungry Hippos, arXiv 2212.14052, section 3.1; A. Gu, T. Dao: Mamba, arXiv
 * 2312.00752, section 4.1.2. [2] C. Olsson et al., In-context Learning and Induction Heads, 2022. [3] HazyResearch/safari.
 *
 * @param length tokens of a sequence (L), the last prefix included; at least 4
 * @param rows sequences of a batch (B)
 * @param seed of everything
 */
public record InductionHeads(int length, int rows, long seed) implements BatchSource {
    /** Symbols that stand around the prefix. */
    public static final int SYMBOLS = 14;

    private static final int PREFIX = SYMBOLS;
    private static final int VOCABULARY = SYMBOLS + 2;

    /** Checks the sizes. */
    public InductionHeads {
        if (length < 4 || rows < 1) {
            throw new IllegalArgumentException(rows + " rows of " + length);
        }
    }

    @Override
    public Batch batch(long index) {
        if (index < 0) {
            throw new IndexOutOfBoundsException("batch " + index);
        }
        SplittableRandom random = Draws.of(seed, index);
        int[] inputs = new int[Math.multiplyExact(rows, length)];
        int[] targets = new int[inputs.length];
        float[] weights = new float[inputs.length];
        for (int row = 0; row < rows; row++) {
            int last = (row + 1) * length - 1;
            targets[last] = draw(inputs, row * length, random);
            weights[last] = 1f / rows;
        }
        return Batch.weighted(rows, inputs, targets, weights);
    }

    /** Writes a sequence and tells what comes after it. */
    private int draw(int[] tokens, int from, SplittableRandom random) {
        for (int i = from; i < from + length - 1; i++) {
            tokens[i] = random.nextInt(SYMBOLS);
        }
        int place = from + random.nextInt(length - 2);
        tokens[place] = PREFIX;
        tokens[from + length - 1] = PREFIX;
        return tokens[place + 1];
    }

    @Override
    public long batchesPerEpoch() {
        return Long.MAX_VALUE;
    }

    @Override
    public int vocabSize() {
        return VOCABULARY;
    }
}
