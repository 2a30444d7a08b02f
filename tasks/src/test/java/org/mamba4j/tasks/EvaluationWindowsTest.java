package org.mamba4j.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.mamba4j.UserError;

class EvaluationWindowsTest {
    @Test
    void spreadsOverDocumentsAndSkipsShortOnes() {
        List<Window> windows = EvaluationWindows.pick("data", documents(10, 100, 5, 100), 10, 4)
                .windows();
        assertThat(windows).hasSize(4);
        assertThat(windows.stream().map(Window::document)).containsExactly("d1", "d1", "d3", "d3");
        for (Window window : windows) {
            assertThat(window.offset() % 10).isZero();
            int base = Integer.parseInt(window.document().substring(1)) * 1000;
            assertThat(window.tokens()[0]).isEqualTo(base + (int) window.offset());
            assertThat(window.tokens()).hasSize(10);
        }
    }

    @Test
    void countsDocumentsThatAreTooShort() {
        EvaluationWindows.Picked picked = EvaluationWindows.pick("data", documents(10, 100, 5, 9), 10, 4);
        assertThat(picked.documents()).isEqualTo(4);
        assertThat(picked.tooShort()).isEqualTo(2);
    }

    @Test
    void givesAllThereAreWhenMoreAreWanted() {
        List<Window> windows =
                EvaluationWindows.pick("data", documents(25, 9, 10), 10, 100).windows();
        assertThat(windows.stream().map(w -> w.document() + "+" + w.offset())).containsExactly("d0+0", "d0+10", "d2+0");
    }

    @Test
    void oneOfManyIsTheMiddle() {
        assertThat(EvaluationWindows.pick("data", documents(100), 10, 1)
                        .windows()
                        .getFirst()
                        .offset())
                .isEqualTo(50);
    }

    @Test
    void namesWhatIsAvailable() {
        assertThatThrownBy(() -> EvaluationWindows.pick("books", documents(10, 1200, 5), 4000, 4))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("books has no document of 4,000 tokens")
                .hasMessageContaining("d1 with 1,200");
        assertThatThrownBy(() -> EvaluationWindows.pick("books", documents(10), 0, 4))
                .isInstanceOf(UserError.class);
    }

    @Test
    void estimatesUseStudentsIntervals() {
        assertThat(Estimate.student(1)).isBetween(12.70, 12.71);
        assertThat(Estimate.student(2)).isBetween(4.302, 4.304);
        assertThat(Estimate.student(3)).isBetween(3.175, 3.19);
        assertThat(Estimate.student(9)).isBetween(2.261, 2.263);
        assertThat(Estimate.student(100_000)).isBetween(1.9599, 1.9601);
        Estimate of = Estimate.ofMean(1, 2, 3);
        assertThat(of.value()).isEqualTo(2);
        assertThat(of.high() - 2).isBetween(2.483, 2.486); // 4.303 / √3
        assertThat(Estimate.ofMean(5)).isEqualTo(new Estimate(5, 5, 5));
    }

    @Test
    void readsLengthsAsPeopleWriteThem() {
        assertThat(Lengths.parseList("256,1k,4K, 2.5k,1M")).containsExactly(256, 1000, 4000, 2500, 1_000_000);
        assertThat(List.of(Lengths.format(1000), Lengths.format(1024), Lengths.format(2_000_000)))
                .containsExactly("1k", "1024", "2M");
        for (String bad : List.of("", "x", "-1", "0", "1.5", "1,,2", "9999999999k", "1kk")) {
            assertThatThrownBy(() -> Lengths.parseList(bad))
                    .as(bad)
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("length");
        }
    }

    /** Documents d0, d1, … of these sizes; the tokens of document i count from 1000 i. */
    private static EvaluationWindows.Documents documents(int... sizes) {
        return reader -> {
            for (int i = 0; i < sizes.length; i++) {
                int index = i;
                reader.accept(new EvaluationWindows.Tokens() {
                    @Override
                    public String name() {
                        return "d" + index;
                    }

                    @Override
                    public int[] read() {
                        int[] tokens = new int[sizes[index]];
                        Arrays.setAll(tokens, t -> 1000 * index + t);
                        return tokens;
                    }
                });
            }
        };
    }
}
