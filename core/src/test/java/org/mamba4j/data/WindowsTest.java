package org.mamba4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizers;

class WindowsTest {
    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 64, 65, 1000, 4096, 4097, 100_003})
    void permutationTakesEveryElementOnce(int n) {
        for (long key : new long[] {0, 1, -1, 0x123456789ABCDEFL}) {
            Permutation permutation = new Permutation(n, key);
            BitSet seen = new BitSet(n);
            for (int i = 0; i < n; i++) {
                int x = Math.toIntExact(permutation.at(i));
                assertThat(seen.get(x)).isFalse();
                seen.set(x);
            }
            assertThat(seen.cardinality()).isEqualTo(n);
        }
    }

    /** Where element 0 lands, over many keys, is even to what chance allows (chi square, 15 degrees of freedom). */
    @Test
    void permutationIsEven() {
        int[] counts = new int[16];
        int keys = 16_000;
        for (int key = 0; key < keys; key++) {
            counts[(int) new Permutation(16, key).at(0)]++;
        }
        double chi = Arrays.stream(counts)
                .mapToDouble(c -> (c - keys / 16.0) * (c - keys / 16.0) / (keys / 16.0))
                .sum();
        assertThat(chi).isLessThan(50);
    }

    @Test
    void permutationTakesHugeSizes() {
        Permutation permutation = new Permutation(Long.MAX_VALUE / 2, 1);
        assertThat(permutation.at(0)).isBetween(0L, Long.MAX_VALUE / 2 - 1).isNotEqualTo(permutation.at(1));
        assertThatThrownBy(() -> permutation.at(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void epochPredictsEveryTokenOnce() {
        int tokens = 10_007;
        int length = 64;
        try (TokenFile file = counting(tokens)) {
            Windows windows = Windows.shuffled(TokenView.all(file), length, 4, 7);
            int n = (tokens - 1) / length;
            assertThat(windows.windows()).isEqualTo(n);
            assertThat(n % 4).isZero();
            for (int epoch = 0; epoch < 3; epoch++) {
                BitSet predicted = new BitSet();
                for (long b = 0; b < n / 4; b++) {
                    Batch batch = windows.batch((long) epoch * (n / 4) + b);
                    assertThat(batch.rows()).isEqualTo(4);
                    assertThat(batch.length()).isEqualTo(length);
                    assertThat(batch.isWeighted()).isFalse();
                    for (int row = 0; row < 4; row++) {
                        int start = position(batch.inputs(), row * length);
                        for (int i = 0; i < length; i++) {
                            assertThat(batch.inputs()[row * length + i]).isEqualTo(value(start + i));
                            assertThat(batch.targets()[row * length + i]).isEqualTo(value(start + i + 1));
                            assertThat(predicted.get(start + i + 1)).isFalse();
                            predicted.set(start + i + 1);
                        }
                    }
                }
                assertThat(predicted.cardinality()).isEqualTo(n * length);
            }
        }
    }

    @Test
    void batchDependsOnSeedAndIndexAlone() {
        try (TokenFile file = counting(5_000)) {
            TokenView view = TokenView.all(file);
            Windows windows = Windows.shuffled(view, 16, 3, 7);
            int[][] inOrder = new int[300][];
            for (int i = 0; i < inOrder.length; i++) {
                inOrder[i] = windows.batch(i).inputs();
            }
            Windows resumed = Windows.shuffled(view, 16, 3, 7);
            for (int i = inOrder.length - 1; i >= 0; i -= 7) {
                assertThat(resumed.batch(i).inputs()).isEqualTo(inOrder[i]);
            }
            Windows other = Windows.shuffled(view, 16, 3, 8);
            assertThat(other.batch(0).inputs()).isNotEqualTo(inOrder[0]);
            // Another epoch, another order.
            assertThat(windows.batch(windows.batchesPerEpoch()).inputs()).isNotEqualTo(inOrder[0]);
            // Another batch size, the same windows in the same order.
            assertThat(Windows.shuffled(view, 16, 1, 7).batch(5).inputs())
                    .isEqualTo(Arrays.copyOfRange(inOrder[1], 32, 48));
        }
    }

    @Test
    void sequentialCoversTheTextOnce() {
        try (TokenFile file = counting(1_000)) {
            Windows windows = Windows.sequential(TokenView.all(file), 30, 4, Long.MAX_VALUE);
            assertThat(windows.windows()).isEqualTo(33);
            assertThat(windows.batchesPerEpoch()).isEqualTo(9);
            int at = 0;
            for (int b = 0; b < 9; b++) {
                Batch batch = windows.batch(b);
                assertThat(batch.rows()).isEqualTo(b == 8 ? 1 : 4);
                for (int i = 0; i < batch.inputs().length; i++) {
                    assertThat(batch.inputs()[i]).isEqualTo(value(at));
                    assertThat(batch.targets()[i]).isEqualTo(value(++at));
                }
            }
            assertThatThrownBy(() -> windows.batch(9)).isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> windows.batch(-1)).isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void sequentialSpreadsAFew() {
        try (TokenFile file = counting(1_000)) {
            Windows few = Windows.sequential(TokenView.all(file), 10, 2, 3);
            assertThat(few.windows()).isEqualTo(3);
            assertThat(position(few.batch(0).inputs(), 0)).isZero();
            assertThat(position(few.batch(0).inputs(), 10)).isEqualTo(330);
            assertThat(position(few.batch(1).inputs(), 0)).isEqualTo(660);
        }
    }

    @Test
    void whatIsTooShortIsNamed() {
        try (TokenFile file = counting(100)) {
            TokenView view = TokenView.all(file);
            assertThat(Windows.shuffled(view, 99, 1, 0).windows()).isEqualTo(1);
            assertThatThrownBy(() -> Windows.shuffled(view, 100, 1, 0))
                    .isInstanceOf(UserError.class)
                    .hasMessageContainingAll("train part", "100 tokens", "needs 101", "shorter window");
            assertThatThrownBy(() -> Windows.sequential(view, Integer.MAX_VALUE, 1, 1))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("valid part");
            assertThatThrownBy(() -> Windows.shuffled(view, 0, 1, 0)).isInstanceOf(UserError.class);
            assertThatThrownBy(() -> Windows.shuffled(view, 1, 0, 0)).isInstanceOf(UserError.class);
            assertThatThrownBy(() -> Windows.sequential(view, 1, 1, 0)).isInstanceOf(UserError.class);
        }
    }

    @Test
    void batchRefusesWhatDoesNotFit() {
        assertThatThrownBy(() -> Batch.of(2, new int[3], new int[3])).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Batch.of(1, new int[3], new int[2])).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Batch.of(0, new int[0], new int[0])).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Batch.weighted(1, new int[3], new int[3], new float[2]))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Batch.weighted(1, new int[3], new int[3], new float[0]))
                .isInstanceOf(IllegalArgumentException.class);
        assertThat(Batch.weighted(1, new int[3], new int[3], new float[3]).isWeighted())
                .isTrue();
    }

    /** A text in which any two neighbours tell their position: numbers of 14 bits, high half (marked) before low half. */
    private TokenFile counting(int tokens) {
        byte[] text = new byte[tokens];
        for (int i = 0; i < tokens; i++) {
            text[i] = (byte) value(i);
        }
        SequencedMap<String, byte[]> texts = new LinkedHashMap<>();
        texts.put("counting", text);
        return TokenFile.of(new MemoryCorpus(texts), Tokenizers.bytes(), dir.resolve("counting" + tokens));
    }

    private static int value(int position) {
        int pair = position / 2;
        return position % 2 == 0 ? 128 + pair / 128 : pair % 128;
    }

    private static int position(int[] values, int at) {
        if (values[at] >= 128) {
            return 2 * ((values[at] - 128) * 128 + values[at + 1]);
        }
        int high = values[at + 1] - 128 - (values[at] == 127 ? 1 : 0);
        return 2 * (high * 128 + values[at]) + 1;
    }
}
