package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;

/** Sequences of packed documents of which every third holds nothing but bad values: its neighbours must not notice. */
record Packed(int batch, int length) {
    private static final int[] LENGTHS = {1, 9, 40, 31, 2, 8};

    /** Writes where documents begin (B, L): at the first step, and then after pieces of some lengths. */
    void resets(boolean[] resets) {
        Arrays.fill(resets, false);
        for (int item = 0; item < batch; item++) {
            int kind = item;
            for (int t = 0; t < length; t += LENGTHS[kind++ % LENGTHS.length]) {
                resets[item * length + t] = true;
            }
        }
    }

    /** Whether a step, counted over all sequences, is one of a bad document. */
    private boolean isBad(int step) {
        int kind = step / length;
        int begin = 0;
        int number = 0;
        while (begin + LENGTHS[kind % LENGTHS.length] <= step % length) {
            begin += LENGTHS[kind++ % LENGTHS.length];
            number++;
        }
        return number % 3 == 1;
    }

    /** Sets the bad documents' rows of (B, L, …). */
    void spoil(float[] rows, float bad) {
        int width = rows.length / (batch * length);
        for (int i = 0; i < rows.length; i++) {
            if (isBad(i / width)) {
                rows[i] = bad;
            }
        }
    }

    /** Holds the other documents' rows of (B, L, …) to the bits that they have where no document is bad. */
    void compare(String what, float[] actual, float[] expected) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        int width = actual.length / (batch * length);
        boolean seen = false;
        for (int i = 0; i < actual.length; i++) {
            if (isBad(i / width)) {
                seen |= !Float.isFinite(actual[i]);
            } else {
                assertThat(actual[i]).as("%s[%d], step %d", what, i, i / width).isEqualTo(expected[i]);
            }
        }
        assertThat(seen).as("%s of bad documents has bad values", what).isTrue();
    }
}
