package org.mamba4j.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.inference.FakeLanguageModel;
import org.mamba4j.json.JsonText;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

class PasskeyTest {
    private static final Tokenizer BYTES = Tokenizers.bytes();
    private static final Filler TEXT = Filler.of(BYTES.encode("It was a bright cold day in April. ".repeat(200)));
    private static final Pattern STATED = Pattern.compile(
            " The pass key of (\\w+) is (\\d{5})\\. Remember it\\. " + "(\\d{5}) is the pass key of (\\w+)\\. ");
    private static final Pattern ASKED =
            Pattern.compile(" What is the pass key of (\\w+)\\? The pass key of (\\w+) is (\\d*)$");

    /** Reads like a program: looks up what it is asked in the last {@code span} bytes. */
    private static FakeLanguageModel reader(int span, boolean anyName) {
        return new FakeLanguageModel(BYTES.vocabSize(), history -> {
            String text = BYTES.decode(Arrays.copyOfRange(history, Math.max(0, history.length - span), history.length));
            float[] logits = new float[BYTES.vocabSize()];
            Matcher asked = ASKED.matcher(text);
            if (asked.find()) {
                Matcher stated = STATED.matcher(text);
                while (stated.find()) {
                    if (anyName || stated.group(1).equals(asked.group(1))) {
                        logits[stated.group(2).charAt(asked.group(3).length())] = 1;
                        return logits;
                    }
                }
            }
            return logits;
        });
    }

    private static Passkey.Grid grid(int keys, int trials, Integer... lengths) {
        return new Passkey.Grid(List.of(lengths), List.of(0.0, 0.5, 1.0), trials, keys, 7);
    }

    @Test
    void aReaderFindsEveryKeyWithinItsSpan() {
        RetrievalResult result = new Passkey(new Subject(reader(500, false), BYTES, 1))
                .measure(grid(1, 4, 400, 900), TEXT, fraction -> {});
        assertThat(result.cells())
                .extracting(RetrievalResult.Cell::correct)
                .containsExactly(4, 4, 4, 0, 0, 4); // at depth 0.5 of 900 the statement begins before the last 500
        assertThat(result.atSize(900).correct()).isEqualTo(4);
        assertThat(JsonText.compact(result.toJson()))
                .startsWith("[{\"length\":400,\"depth\":0.0,\"trials\":4,\"correct\":4},");
    }

    @Test
    void severalReadersFindTheSame() {
        Passkey.Grid grid = grid(4, 9, 600, 900);
        List<Double> fractions = new ArrayList<>();
        RetrievalResult together =
                new Passkey(new Subject(reader(500, true), BYTES, 4)).measure(grid, TEXT, fractions::add);
        assertThat(together)
                .isEqualTo(new Passkey(new Subject(reader(500, true), BYTES, 1)).measure(grid, TEXT, fraction -> {}));
        assertThat(fractions).hasSize(18).isSorted().endsWith(1.0);
    }

    @Test
    void whoMustSeeWholeTextsIsGivenWholeTexts() {
        Passkey.Grid grid = grid(4, 3, 600, 900);
        FakeLanguageModel reader = reader(500, false);
        assertThat(new Passkey(new Subject(reader.ofWholeTexts(), BYTES, 1)).measure(grid, TEXT, fraction -> {}))
                .isEqualTo(new Passkey(new Subject(reader, BYTES, 1)).measure(grid, TEXT, fraction -> {}));
    }

    @Test
    void theFirstFailureOfAReaderEndsTheWork() {
        FakeLanguageModel broken = new FakeLanguageModel(BYTES.vocabSize(), history -> {
            throw new UserError("broken");
        });
        assertThatThrownBy(() ->
                        new Passkey(new Subject(broken, BYTES, 3)).measure(grid(1, 50, 400), TEXT, fraction -> {}))
                .isInstanceOf(UserError.class)
                .hasMessage("broken");
        assertThatThrownBy(() -> new Subject(broken, BYTES, 0)).hasMessageContaining("0 readers");
    }

    @Test
    void sharesHaveIntervalsEvenWhereAllWereRight() {
        Estimate all = Estimate.ofShare(100, 100);
        assertThat(all.value()).isEqualTo(1);
        assertThat(all.high()).isEqualTo(1);
        assertThat(all.low()).isCloseTo(0.963, within(5e-4)); // Wilson's: n / (n + z²)
        assertThat(Estimate.ofShare(0, 100).high()).isCloseTo(0.037, within(5e-4));
        Estimate half = Estimate.ofShare(10, 20);
        assertThat(half.low()).isCloseTo(0.2993, within(5e-5));
        assertThat(half.high()).isCloseTo(0.7007, within(5e-5));
    }

    @Test
    void withSeveralKeysTheNameMatters() {
        Passkey.Grid grid = grid(4, 10, 800);
        assertThat(new Passkey(new Subject(reader(10_000, false), BYTES, 1))
                        .measure(grid, TEXT, fraction -> {})
                        .atSize(800)
                        .correct())
                .isEqualTo(30);
        assertThat(new Passkey(new Subject(reader(10_000, true), BYTES, 1))
                        .measure(grid, TEXT, fraction -> {})
                        .atSize(800)
                        .correct())
                .as("the first key that was stated is the one asked for at depth 0, and elsewhere seldom")
                .isBetween(10, 20);
    }

    @Test
    void theNameTellsNothingOfTheDigits() {
        Passkey task = new Passkey(new Subject(reader(1, false), BYTES, 1));
        Passkey.Grid grid = grid(1, 300, 400);
        for (double depth : grid.depths()) {
            int same = 0;
            for (int i = 0; i < grid.trials(); i++) {
                Trial trial = task.trial(grid, TEXT, 400, depth, i);
                Matcher asked = ASKED.matcher(BYTES.decode(trial.context()));
                assertThat(asked.find()).isTrue();
                int name = PassKeys.NAMES.indexOf(asked.group(1));
                int digits = Integer.parseInt(BYTES.decode(trial.answer()));
                same += name % 10 == digits % 10 ? 1 : 0;
            }
            assertThat(same).as("of 300 at depth %s, 30 expected", depth).isBetween(10, 50);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4})
    void trialsAreAsDescribedAndFollowFromTheSeed(int keys) {
        Passkey task = new Passkey(new Subject(reader(1, false), BYTES, 1));
        Passkey.Grid grid = grid(keys, 1, 1000);
        for (double depth : grid.depths()) {
            Trial trial = task.trial(grid, TEXT, 1000, depth, 3);
            String text = BYTES.decode(trial.context());
            assertThat(trial.context()).hasSize(1000);
            Matcher asked = ASKED.matcher(text);
            assertThat(asked.find()).isTrue();
            String answer = BYTES.decode(trial.answer());
            assertThat(answer).matches("\\d{5}");
            List<String> names = new ArrayList<>();
            Matcher stated = STATED.matcher(text);
            while (stated.find()) {
                names.add(stated.group(1));
                assertThat(stated.group(4)).isEqualTo(stated.group(1));
                assertThat(stated.group(3)).isEqualTo(stated.group(2));
                if (stated.group(1).equals(asked.group(1))) {
                    assertThat(stated.group(2)).isEqualTo(answer);
                    int filler = 1000
                            - asked.group().length()
                            - keys * stated.group().length();
                    if (keys == 1) {
                        assertThat(stated.start()).isEqualTo((int) Math.round(depth * filler));
                    }
                }
            }
            assertThat(names).hasSize(keys).doesNotHaveDuplicates().contains(asked.group(1));
            assertThat(task.trial(grid, TEXT, 1000, depth, 3).context()).isEqualTo(trial.context());
            assertThat(task.trial(grid, TEXT, 1000, depth, 4).context()).isNotEqualTo(trial.context());
        }
    }

    @Test
    void depthsThatShareTheirBeginningAnswerAsIfAlone() {
        Passkey task = new Passkey(new Subject(reader(1, false), BYTES, 1));
        Passkey.Grid grid = new Passkey.Grid(List.of(1000), List.of(1.0, 0.0, 0.5), 1, 2, 7);
        Trial first = task.trial(grid, TEXT, 1000, 0, 0);
        Trial last = task.trial(grid, TEXT, 1000, 1, 0);
        assertThat(last.answer()).isNotEqualTo(first.answer());
        List<Trial> trials = List.of(last, first, task.trial(grid, TEXT, 1000, 0.5, 0));
        FakeLanguageModel reader = reader(10_000, false);
        assertThat(new GreedyAnswers(new Subject(reader, BYTES, 1)).areRight(trials))
                .containsExactly(true, true, true);
        assertThat(new GreedyAnswers(new Subject(reader(500, false), BYTES, 1)).areRight(trials))
                .as("each as if it were alone")
                .containsExactly(true, false, false);
        assertThat(new GreedyAnswers(new Subject(reader, BYTES, 1)).areRight(List.of(first, first)))
                .as("twice the same")
                .containsExactly(true, true);
    }

    @Test
    void whatCannotBeAskedIsRefusedBeforeTheWork() {
        Passkey task = new Passkey(new Subject(reader(1, false), BYTES, 1));
        assertThatThrownBy(() -> task.measure(grid(1, 1, 500, 100), TEXT, fraction -> {
                    throw new AssertionError("work was done");
                }))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("100 tokens");
        assertThatThrownBy(() -> task.measure(grid(1, 1, 100_000), TEXT, fraction -> {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("the text has 7000 tokens");
        assertThatThrownBy(() -> grid(31, 1, 500)).hasMessageContaining("31");
        assertThatThrownBy(() -> new Passkey.Grid(List.of(5), List.of(1.5), 1, 1, 0))
                .hasMessageContaining("1.5");
        assertThatThrownBy(() -> new Passkey.Grid(List.of(), List.of(1.0), 1, 1, 0))
                .hasMessageContaining("length");
    }

    @Test
    void theMapShowsEveryCell() throws IOException {
        RetrievalResult result = new RetrievalResult(List.of(
                new RetrievalResult.Cell(1000, 0, 20, 20),
                new RetrievalResult.Cell(1000, 1, 20, 0),
                new RetrievalResult.Cell(400_000, 0, 20, 10),
                new RetrievalResult.Cell(400_000, 1, 20, 5)));
        var image = ImageIO.read(new ByteArrayInputStream(RetrievalChart.png(result, "one key")));
        assertThat(image.getWidth()).isEqualTo(1600);
        assertThat(image.getRGB(230, 120) & 0xFFFFFF).isEqualTo(0x1F5AA6); // 100 %
        assertThat(image.getRGB(230, 240) & 0xFFFFFF).isEqualTo(0xF4F1EA); // 0 %
    }
}
