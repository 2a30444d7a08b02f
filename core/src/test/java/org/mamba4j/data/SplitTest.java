package org.mamba4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizers;

class SplitTest {
    @TempDir
    Path dir;

    @Test
    void partsAreDisjointCompleteAndAboutAsAsked() {
        try (TokenFile file = documents(2_000, 10)) {
            Split split = Split.of(file, 0.1, 42);
            assertThat(split.train().size() + split.valid().size()).isEqualTo(file.size());
            assertThat(split.valid().size() / (double) file.size()).isCloseTo(0.1, within(0.03));
            assertThat(split.valid().textBytes()).isEqualTo(split.valid().size());
            assertThat(ids(split.valid())).doesNotContainAnyElementsOf(ids(split.train()));
        }
    }

    @Test
    void seedDecidesAndNothingElse() {
        try (TokenFile file = documents(300, 4);
                TokenFile more = documents(400, 4)) {
            Set<Integer> valid = ids(Split.of(file, 0.2, 1).valid());
            assertThat(ids(Split.of(file, 0.2, 1).valid())).isEqualTo(valid);
            assertThat(ids(Split.of(file, 0.2, 2).valid())).isNotEqualTo(valid);
            // Documents that are added leave the others where they were.
            assertThat(ids(Split.of(more, 0.2, 1).valid())).containsAll(valid);
            assertThat(ids(Split.of(more, 0.2, 1).train()))
                    .containsAll(ids(Split.of(file, 0.2, 1).train()));
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {1e-9, 0.01, 0.5, 0.99, 0.999999999})
    void neitherPartIsEmpty(double fraction) {
        for (int n = 2; n < 6; n++) {
            try (TokenFile file = documents(n, 3)) {
                for (long seed = 0; seed < 50; seed++) {
                    Split split = Split.of(file, fraction, seed);
                    assertThat(split.train().size()).isPositive();
                    assertThat(split.valid().size()).isPositive();
                    assertThat(split.train().size() + split.valid().size()).isEqualTo(file.size());
                }
            }
        }
    }

    @Test
    void singleDocumentIsCutAtItsEnd() {
        try (TokenFile file = documents(1, 1000)) {
            Split split = Split.of(file, 0.1, 3);
            assertThat(split.train().size()).isEqualTo(900);
            assertThat(split.valid().size()).isEqualTo(100);
            assertThat(split.valid().textBytes()).isEqualTo(100);
            assertThat(Split.of(file, 1e-9, 3).valid().size()).isEqualTo(1);
            assertThat(Split.of(file, 1 - 1e-9, 3).train().size()).isEqualTo(1);
        }
    }

    @Test
    void badFractionAndTooLittleAreNamed() {
        try (TokenFile file = documents(1, 1)) {
            assertThatThrownBy(() -> Split.of(file, 0.1, 3))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("1 token");
        }
        try (TokenFile file = documents(2, 2)) {
            for (double fraction : new double[] {0, 1, -0.1, 1.1, Double.NaN}) {
                assertThatThrownBy(() -> Split.of(file, fraction, 3))
                        .isInstanceOf(UserError.class)
                        .hasMessageContaining("valid fraction");
            }
        }
    }

    @Test
    void viewReadsAcrossItsRanges() {
        try (TokenFile file = documents(9, 5)) {
            TokenView view = TokenView.documents(file, java.util.stream.IntStream.of(7, 2, 3));
            assertThat(view.size()).isEqualTo(15);
            assertThat(view.ends()).containsExactly(5L, 10L, 15L);
            int[] whole = {7, 7, 7, 7, 7, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3};
            for (int from = 0; from <= 15; from++) {
                for (int to = from; to <= 15; to++) {
                    int[] out = new int[to - from];
                    view.read(from, out.length, out, 0);
                    assertThat(out).isEqualTo(Arrays.copyOfRange(whole, from, to));
                }
            }
            assertThatThrownBy(() -> view.read(14, 2, new int[2], 0)).isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    /** Document d is {@code length} bytes of value d mod 251. */
    private TokenFile documents(int count, int length) {
        SequencedMap<String, byte[]> texts = new LinkedHashMap<>();
        for (int d = 0; d < count; d++) {
            byte[] text = new byte[length];
            Arrays.fill(text, (byte) (d % 251));
            text[0] = count > 250 ? (byte) (d / 251) : text[0];
            texts.put("document " + d, text);
        }
        return TokenFile.of(new MemoryCorpus(texts), Tokenizers.bytes(), dir.resolve(count + "x" + length));
    }

    /** The documents (by their first two bytes) that begin in a view of documents. */
    private static Set<Integer> ids(TokenView view) {
        Set<Integer> ids = new TreeSet<>();
        long start = 0;
        int[] pair = new int[2];
        for (long end : view.ends().toArray()) {
            view.read(start, 2, pair, 0);
            ids.add(pair[0] << 8 | pair[1]);
            start = end;
        }
        return ids;
    }
}
