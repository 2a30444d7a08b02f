package org.mamba4j.tasks;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Draws;

/**
 * The selective copying task [1]: a few data tokens stand at random places among noise; then come as many markers, at each
 * of which the model must say the next of them. Places differ from sequence to sequence, so a layer that treats every
 * token alike (a convolution) cannot pick them out: what is to be remembered must depend on the token itself.
 *
 * <p>Vocabulary: token 0 is noise, the last one is the marker, those between are data, as in the code that is in use for the
 * task [2]. Markers alone have targets.
 *
 * <p>References: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.1.1 and appendix E.1; L. Jing et al., Gated
 * Orthogonal Recurrent Units, arXiv 1706.02761. [2] state-spaces/s4, its data set {@code copying} with variable places.
 *
 * @param length tokens of a sequence (L), the markers included
 * @param data tokens to copy (M); at most half the length
 * @param vocabulary kinds of tokens, noise and marker included; at least 3
 * @param rows sequences of a batch (B)
 * @param seed of everything
 */
public record SelectiveCopying(int length, int data, int vocabulary, int rows, long seed) implements BatchSource {
    /** Checks the sizes. */
    public SelectiveCopying {
        if (data < 1 || length < 2 * data || vocabulary < 3 || rows < 1) {
            throw new IllegalArgumentException(
                    rows + " rows of " + length + " with " + data + " of " + vocabulary + " kinds");
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
            draw(inputs, targets, row * length, random);
            int markers = (row + 1) * length - data;
            Arrays.fill(weights, markers, markers + data, 1f / (rows * data));
        }
        return Batch.weighted(rows, inputs, targets, weights);
    }

    private void draw(int[] inputs, int[] targets, int from, SplittableRandom random) {
        int places = length - data;
        int left = data;
        // Place after place takes a datum with the probability that makes every choice of places equally likely.
        for (int i = 0; i < places && left > 0; i++) {
            if (random.nextInt(places - i) < left) {
                int token = 1 + random.nextInt(vocabulary - 2);
                inputs[from + i] = token;
                targets[from + length - left] = token;
                left--;
            }
        }
        Arrays.fill(inputs, from + places, from + length, vocabulary - 1);
    }

    @Override
    public long batchesPerEpoch() {
        return Long.MAX_VALUE;
    }

    @Override
    public int vocabSize() {
        return vocabulary;
    }
}
