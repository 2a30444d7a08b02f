package org.mamba4j.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.mamba4j.UserError;
import org.mamba4j.inference.FakeLanguageModel;
import org.mamba4j.text.Tokenizer;

class PerplexityTest {
    private static final int VOCAB = 4;
    private static final Estimate NONE = new Estimate(0, 0, 0);

    /** Each token's text is as many bytes as its id + 1. */
    private static final Tokenizer TOKENIZER = new Tokenizer() {
        @Override
        public int[] encode(String text) {
            return encode(text.getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public int[] encode(byte[] utf8) {
            throw new UnsupportedOperationException();
        }

        @Override
        public byte[] bytes(int token) {
            return new byte[token + 1];
        }

        @Override
        public String decode(int[] tokens) {
            throw new UnsupportedOperationException();
        }

        @Override
        public int vocabSize() {
            return VOCAB;
        }

        @Override
        public String fingerprint() {
            throw new UnsupportedOperationException();
        }

        @Override
        public int splitPoint(byte[] utf8, int length) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void save(Path folder) {
            throw new UnsupportedOperationException();
        }
    };

    @Test
    void aUniformModelHasThePerplexityOfItsVocabulary() {
        var model = new FakeLanguageModel(VOCAB, history -> new float[VOCAB]);
        PerplexityResult result = new Perplexity(new Subject(model, TOKENIZER, 1))
                .measure(List.of(4, 8), 2, windows(8, 5), fraction -> {});
        assertThat(result.windows()).isEqualTo(5);
        for (PerplexityResult.AtLength at : result.lengths()) {
            assertThat(at.perplexity().value()).isCloseTo(4, within(1e-12));
            assertThat(at.loss().value()).isCloseTo(Math.log(4), within(1e-12));
            assertThat(at.perplexity().low()).isCloseTo(4, within(1e-9));
        }
    }

    @Test
    void scoresTheSameTokensAtEveryLengthAndReadsExactlyTheLength() {
        Set<String> scored = new HashSet<>();
        Set<Integer> lengths = new HashSet<>();
        // Confident that the next token is the last one plus 1: right, as the windows count 0 1 2 3 0 1 …
        var model = new FakeLanguageModel(VOCAB, history -> {
            lengths.add(history.length);
            scored.add(Arrays.toString(Arrays.copyOfRange(history, history.length - 3, history.length)));
            float[] logits = new float[VOCAB];
            logits[(history[history.length - 1] + 1) % VOCAB] = (float) Math.log(history.length);
            return logits;
        });
        PerplexityResult result = new Perplexity(new Subject(model, TOKENIZER, 1))
                .measure(List.of(6, 12), 2, windows(12, 1), fraction -> {});
        // Two tokens are scored after 4 and 5 tokens, then after 10 and 11.
        assertThat(lengths).containsExactlyInAnyOrder(4, 5, 10, 11);
        assertThat(scored).hasSize(2);
        assertThat(result.lengths().get(0).loss().value())
                .isCloseTo(-(Math.log(4 / 7.0) + Math.log(5 / 8.0)) / 2, within(1e-6));
        assertThat(result.lengths().get(1).loss().value())
                .isCloseTo(-(Math.log(10 / 13.0) + Math.log(11 / 14.0)) / 2, within(1e-6));
    }

    @Test
    void bitsPerByteCountsTheBytesOfTheScoredTokens() {
        var model = new FakeLanguageModel(VOCAB, history -> new float[VOCAB]);
        // The last two of 0 1 2 3 0 1 2 3 are tokens 2 and 3: 3 + 4 bytes, at 2 bits each token.
        PerplexityResult result =
                new Perplexity(new Subject(model, TOKENIZER, 1)).measure(List.of(8), 2, windows(8, 1), fraction -> {});
        assertThat(result.lengths().getFirst().bitsPerByte().value()).isCloseTo(4 / 7.0, within(1e-12));
    }

    @Test
    void bitsPerByteIsAllBitsOverAllBytes() {
        var model = new FakeLanguageModel(VOCAB, history -> new float[VOCAB]);
        // Scored: 2 + 2 bits for tokens of 1 + 1 bytes, and for tokens of 4 + 4.
        List<Window> windows =
                List.of(new Window("short", 0, new int[] {0, 0, 0, 0}), new Window("long", 0, new int[] {3, 3, 3, 3}));
        Estimate bits = new Perplexity(new Subject(model, TOKENIZER, 1))
                .measure(List.of(4), 2, windows, fraction -> {})
                .lengths()
                .getFirst()
                .bitsPerByte();
        assertThat(bits.value()).isCloseTo(8 / 10.0, within(1e-12));
        assertThat(bits.low()).isLessThan(bits.value());
        assertThat(bits.value() - bits.low()).isCloseTo(bits.high() - bits.value(), within(1e-12));
    }

    @Test
    void ofEqualDenominatorsARatioIsAMean() {
        Estimate mean = Estimate.ofMean(1, 2, 4);
        Estimate ratio = Estimate.ofRatio(new double[] {2, 4, 8}, new double[] {2, 2, 2});
        assertThat(ratio.value()).isCloseTo(mean.value(), within(1e-12));
        assertThat(ratio.low()).isCloseTo(mean.low(), within(1e-12));
        assertThat(ratio.high()).isCloseTo(mean.high(), within(1e-12));
    }

    @Test
    void reportsProgressUpToOne() {
        var model = new FakeLanguageModel(VOCAB, history -> new float[VOCAB]);
        List<Double> fractions = new ArrayList<>();
        new Perplexity(new Subject(model, TOKENIZER, 1)).measure(List.of(4, 8), 2, windows(8, 3), fractions::add);
        assertThat(fractions).hasSize(6).isSorted().endsWith(1.0);
    }

    @Test
    void refusesALengthThatLeavesNoContext() {
        var perplexity =
                new Perplexity(new Subject(new FakeLanguageModel(VOCAB, history -> new float[VOCAB]), TOKENIZER, 2));
        assertThatThrownBy(() -> perplexity.measure(List.of(100), 100, windows(100, 1), fraction -> {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("100")
                .hasMessageContaining("101");
        assertThatThrownBy(() -> perplexity.measure(List.of(8), 0, windows(8, 1), fraction -> {}))
                .isInstanceOf(UserError.class);
        assertThatThrownBy(() -> perplexity.measure(List.of(), 1, windows(8, 1), fraction -> {}))
                .isInstanceOf(UserError.class);
    }

    @Test
    void modelsAndLengthsAreComparedWindowByWindow() {
        var easy = new PerplexityResult.AtLength(8, NONE, NONE, NONE, 1, List.of(1.0, 5.0, 9.0));
        var hard = new PerplexityResult.AtLength(8, NONE, NONE, NONE, 1, List.of(1.1, 5.1, 9.1));
        Estimate ratio = hard.over(easy);
        assertThat(ratio.value()).isCloseTo(Math.exp(0.1), within(1e-12));
        assertThat(ratio.high() - ratio.low())
                .as("all windows differ alike, however unlike they are")
                .isLessThan(1e-6);
        assertThatThrownBy(() -> hard.over(new PerplexityResult.AtLength(8, NONE, NONE, NONE, 1, List.of(1.0))))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void drawsAPicture() throws Exception {
        var at = new PerplexityResult.AtLength(
                256,
                new Estimate(1.6, 1.5, 1.7),
                new Estimate(5, 4.5, 5.5),
                new Estimate(2, 1.9, 2.1),
                1e4,
                List.of(1.5, 1.7));
        var more = new PerplexityResult.AtLength(
                4000,
                new Estimate(1.4, 1.3, 1.5),
                new Estimate(4, 3.7, 4.4),
                new Estimate(1.8, 1.7, 1.9),
                1e4,
                List.of(1.3, 1.5));
        byte[] png = PerplexityChart.png(List.of(
                new ModelPerplexity("a", new PerplexityResult(10, 3, 100, List.of(at, more))),
                new ModelPerplexity("b", new PerplexityResult(10, 3, 100, List.of(more, at)))));
        BufferedImage image = ImageIO.read(new ByteArrayInputStream(png));
        assertThat(image.getWidth()).isEqualTo(1600);
        Set<Integer> colours = new HashSet<>();
        for (int x = 0; x < image.getWidth(); x++) {
            colours.add(image.getRGB(x, 500));
        }
        assertThat(colours).hasSizeGreaterThan(3);
    }

    private static List<Window> windows(int length, int count) {
        List<Window> windows = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int[] tokens = new int[length];
            Arrays.setAll(tokens, t -> t % VOCAB);
            windows.add(new Window("document " + i, 0, tokens));
        }
        return windows;
    }
}
