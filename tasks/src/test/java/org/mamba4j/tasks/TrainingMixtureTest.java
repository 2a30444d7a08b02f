package org.mamba4j.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

class TrainingMixtureTest {
    private static final Tokenizer BYTES = Tokenizers.bytes();
    private static final Filler TEXT = Filler.of(BYTES.encode("It was a bright cold day in April. ".repeat(200)));
    private static final LengthCourse COURSE =
            new LengthCourse(List.of(new LengthCourse.Phase(0, 512, 3), new LengthCourse.Phase(5, 1024, 2)));
    private static final Pattern ASKED =
            Pattern.compile(" What is the pass key of (\\w+)\\? The pass key of (\\w+) is (\\d{5})\\. ");

    private static final Pattern STATED =
            Pattern.compile(" The pass key of \\w+ is \\d{5}\\. Remember it\\. \\d{5} is the pass key of \\w+\\. ");

    private static TrainingMixture.Settings settings(double textWeight, double answerWeight) {
        return new TrainingMixture.Settings(TEXT, COURSE, BYTES.vocabSize(), textWeight, answerWeight, 11);
    }

    private static PasskeySequences keys(double hard, Integer... keys) {
        return new PasskeySequences(TEXT, BYTES, List.of(keys), hard);
    }

    private static TrainingMixture mixture(double share, double hard) {
        return new TrainingMixture(settings(1, 2)).add(share, keys(hard, 1, 3));
    }

    /** The whole sequence: its inputs and its last target. */
    private static String text(Batch batch, int row) {
        int from = row * batch.length();
        int[] targets = Arrays.copyOfRange(batch.targets(), from, from + batch.length());
        return BYTES.decode(new int[] {batch.inputs()[from]}) + BYTES.decode(targets);
    }

    @Test
    void aBatchFollowsFromItsNumberAndItsPhase() {
        TrainingMixture mixture = mixture(1, 0);
        assertThat(mixture.batch(4).length()).isEqualTo(512);
        assertThat(mixture.batch(5).length()).isEqualTo(1024);
        assertThat(mixture.batch(1_000_000).rows()).isEqualTo(2);
        assertThat(mixture.batch(6).inputs())
                .isEqualTo(mixture(1, 0).batch(6).inputs())
                .isNotEqualTo(mixture.batch(7).inputs());
    }

    @Test
    void seedsBatchesAndRowsReadPlacesOfTheirOwn() {
        Filler numbered = new Filler() {
            @Override
            public long size() {
                return Integer.MAX_VALUE;
            }

            @Override
            public void read(long from, int count, int[] out, int at) {
                for (int i = 0; i < count; i++) {
                    out[at + i] = (int) from + i;
                }
            }
        };
        LengthCourse course = LengthCourse.constant(8, 4);
        List<Integer> firsts = new ArrayList<>();
        for (int seed = 0; seed < 16; seed++) {
            TrainingMixture mixture =
                    new TrainingMixture(new TrainingMixture.Settings(numbered, course, BYTES.vocabSize(), 1, 1, seed));
            for (int index = 0; index < 16; index++) {
                Batch batch = mixture.batch(index);
                for (int row = 0; row < batch.rows(); row++) {
                    firsts.add(batch.inputs()[row * batch.length()]);
                }
            }
        }
        assertThat(firsts).hasSize(16 * 16 * 4).doesNotHaveDuplicates();
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 1})
    void everyQuestionComesAfterItsAnswerAndOnlyAnswersWeighMore(double hard) {
        TrainingMixture mixture = mixture(1, hard);
        int questions = 0;
        for (int index = 0; index < 30; index++) {
            Batch batch = mixture.batch(index);
            double textWeight = 0;
            double answerWeight = 0;
            for (int row = 0; row < batch.rows(); row++) {
                String text = text(batch, row);
                boolean[] answers = new boolean[batch.length()];
                Matcher asked = ASKED.matcher(text);
                while (asked.find()) {
                    questions++;
                    String statement = " The pass key of " + asked.group(1) + " is " + asked.group(3) + ". Remember";
                    assertThat(text.indexOf(statement)).isBetween(0, asked.start() - 1);
                    Arrays.fill(answers, asked.start(3) - 1, asked.end(3) - 1, true);
                }
                for (int i = 0; i < answers.length; i++) {
                    float weight = batch.weights()[row * batch.length() + i];
                    textWeight += answers[i] ? 0 : weight;
                    answerWeight += answers[i] ? weight : 0;
                }
            }
            assertThat(textWeight).isCloseTo(1, within(1e-4));
            assertThat(answerWeight).isCloseTo(2, within(1e-4));
        }
        assertThat(questions).isGreaterThan(30 * 2 * 2);
    }

    @Test
    void sharesHoldOnAverage() {
        TrainingMixture mixture = mixture(0.25, 0.5);
        int asking = 0;
        int hard = 0;
        for (int index = 0; index < 400; index++) {
            Batch batch = mixture.batch(index);
            for (int row = 0; row < batch.rows(); row++) {
                String text = text(batch, row);
                boolean asks = ASKED.matcher(text).find();
                asking += asks ? 1 : 0;
                String rest = ASKED.matcher(STATED.matcher(text).replaceAll("")).replaceAll("");
                boolean distracts =
                        !"It was a bright cold day in April. ".repeat(200).contains(rest);
                hard += asks && distracts ? 1 : 0;
            }
        }
        int all = 5 * 3 + 395 * 2;
        assertThat(asking).isBetween((int) (0.2 * all), (int) (0.3 * all));
        assertThat(hard).isBetween((int) (0.35 * asking), (int) (0.65 * asking));
    }

    @Test
    void whereTextHasNoWeightEverySequenceAsks() {
        TrainingMixture questions = new TrainingMixture(settings(0, 1)).add(0.1, keys(0, 1));
        for (int index = 0; index < 20; index++) {
            Batch batch = questions.batch(index);
            double sum = 0;
            for (int i = 0; i < batch.weights().length; i++) {
                sum += batch.weights()[i];
                boolean digit = Character.isDigit(batch.targets()[i]);
                assertThat(batch.weights()[i] > 0 && !digit).isFalse();
            }
            assertThat(sum).isCloseTo(1, within(1e-4));
            for (int row = 0; row < batch.rows(); row++) {
                assertThat(text(batch, row)).containsPattern(ASKED);
            }
        }
    }

    @Test
    void aMixtureThatCannotBeIsRefused() {
        refused(() -> new TrainingMixture(settings(1, 1)).add(1, keys(0, 8)), "8 keys");
        refused(() -> new TrainingMixture(settings(1, 1)).add(1, keys(0, 31)), "31 keys");
        refused(() -> new TrainingMixture(settings(1, 1)).add(1, keys(0, 1, 1, 1)), "3 numbers of keys");
        refused(() -> mixture(0.6, 0).add(0.5, keys(0, 1)), "0.5");
        refused(() -> settings(1, 0), "answer weight");
        refused(() -> settings(Double.NaN, 1), "text's weight");
        LengthCourse tooLong = LengthCourse.constant(8192, 1);
        refused(
                () -> new TrainingMixture.Settings(TEXT, tooLong, BYTES.vocabSize(), 1, 1, 0),
                "the text has 7000 tokens");
    }

    private static void refused(org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
        assertThatThrownBy(call).isInstanceOf(UserError.class).hasMessageContaining(message);
    }
}
