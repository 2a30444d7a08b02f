package org.mamba4j.inference;

import org.mamba4j.UserError;

/** How one vector is made of those of all tokens of a text. */
public enum Pooling {
    /** Their mean: every token counts alike. */
    MEAN {
        @Override
        int first(int tokens) {
            return 0;
        }
    },
    /** The last one, which has read all the others. */
    LAST {
        @Override
        int first(int tokens) {
            return tokens - 1;
        }
    };

    /** The first of {@code tokens} that counts. */
    abstract int first(int tokens);

    float[] embed(LanguageModel model, State state, int[] tokens) {
        if (tokens.length == 0) {
            throw new UserError("a text without tokens has no embedding");
        }
        int first = first(tokens.length);
        double[] sum = new double[model.config().dModel()];
        model.hidden(state, tokens, first, (position, row) -> {
            for (int i = 0; i < sum.length; i++) {
                sum[i] += row[i];
            }
        });
        float[] mean = new float[sum.length];
        for (int i = 0; i < mean.length; i++) {
            mean[i] = (float) (sum[i] / (tokens.length - first));
        }
        return mean;
    }
}
