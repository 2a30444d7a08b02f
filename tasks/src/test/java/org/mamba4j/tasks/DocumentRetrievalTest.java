package org.mamba4j.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.inference.FakeLanguageModel;
import org.mamba4j.json.JsonText;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

class DocumentRetrievalTest {
    private static final Tokenizer BYTES = Tokenizers.bytes();
    private static final Filler TEXT = Filler.of(
            BYTES.encode("It was a bright cold day in April, and the clocks were striking thirteen. ".repeat(200)));
    private static final Pattern DOCUMENT = Pattern.compile(" Document (\\d{3}): (.*)\n");
    private static final Pattern ASKED = Pattern.compile(" Question: (.*) The answer is in document (\\d*)$");

    private static Squad squad() {
        List<Squad.Paragraph> all = new ArrayList<>();
        for (int article = 0; article < 8; article++) {
            for (int i = 0; i < 3; i++) {
                String word = "word" + article + "x" + i;
                all.add(new Squad.Paragraph(
                        article, "Here stands " + word + " among others.", List.of("Who is " + word + "?")));
            }
        }
        return new Squad(all);
    }

    /** Looks for the document that has the question's second last word. */
    private static final FakeLanguageModel READER = new FakeLanguageModel(BYTES.vocabSize(), history -> {
        String text = BYTES.decode(history);
        float[] logits = new float[BYTES.vocabSize()];
        Matcher asked = ASKED.matcher(text);
        if (asked.find()) {
            String word = asked.group(1).replace("Who is ", "").replace("?", "");
            Matcher document = DOCUMENT.matcher(text);
            while (document.find()) {
                if (document.group(2).contains(word)) {
                    logits[document.group(1).charAt(asked.group(2).length())] = 1;
                }
            }
        }
        return logits;
    });

    @Test
    void aReaderFindsTheDocumentAtEveryDepth() {
        DocumentRetrieval.Grid grid = new DocumentRetrieval.Grid(List.of(2, 10), List.of(0.0, 0.5, 1.0), 3, 5);
        RetrievalResult result = new DocumentRetrieval(new Subject(READER, BYTES, 2), squad().forTests(), TEXT)
                .measure(grid, fraction -> {});
        assertThat(result.cells()).extracting(RetrievalResult.Cell::correct).containsOnly(3);
        assertThat(result.sizes()).containsExactly(2, 10);
        assertThat(JsonText.compact(result.toJson())).contains("{\"documents\":10,\"length\":");
        assertThat(RetrievalChart.png(result, "documents")).isNotEmpty();
    }

    @Test
    void documentsAreDistinctAndTheGoldenOneStandsAtItsDepth() {
        DocumentRetrieval.Grid grid = new DocumentRetrieval.Grid(List.of(50), List.of(0.0, 0.25, 1.0), 1, 5);
        Squad tests = squad().forTests();
        assertThat(tests.paragraphs()).hasSize(6).allMatch(p -> p.article() % 4 == 3);
        List<Trial> trials = new DocumentRetrieval(new Subject(READER, BYTES, 2), tests, TEXT).trials(grid, 50, 0);
        int[] places = {0, 12, 49};
        for (int d = 0; d < places.length; d++) {
            String text = BYTES.decode(trials.get(d).context());
            List<String> numbers = new ArrayList<>();
            Matcher document = DOCUMENT.matcher(text);
            while (document.find()) {
                numbers.add(document.group(1));
            }
            assertThat(numbers).hasSize(50).doesNotHaveDuplicates();
            assertThat(numbers.get(places[d]))
                    .isEqualTo(BYTES.decode(trials.get(d).answer()));
            assertThat(text).endsWith(" The answer is in document ");
        }
    }

    @Test
    void whatIsLearntIsNeverWhatIsAsked() {
        Squad training = squad().forTraining();
        assertThat(training.paragraphs())
                .hasSize(18)
                .doesNotContainAnyElementsOf(squad().forTests().paragraphs());
        DocumentSequences sequences = new DocumentSequences(TEXT, BYTES, training);
        int questions = 0;
        for (int seed = 0; seed < 40; seed++) {
            boolean[] answers = new boolean[4001];
            String text = BYTES.decode(sequences.draw(4001, 0, new SplittableRandom(seed), answers));
            for (Squad.Paragraph test : squad().forTests().paragraphs()) {
                assertThat(text).doesNotContain(test.text());
            }
            Matcher asked = Pattern.compile(
                            " Question: (?:where does it say \"(.*?)\"\\?|Who is (\\w+)\\?) The answer is in document (\\d{3})\\.")
                    .matcher(text);
            boolean[] expected = new boolean[answers.length];
            while (asked.find()) {
                questions++;
                String wanted = asked.group(1) == null ? asked.group(2) : asked.group(1);
                Matcher document = Pattern.compile(" Document " + asked.group(3) + ": (.*)\n")
                        .matcher(text);
                assertThat(document.find()).isTrue();
                assertThat(document.group(1)).contains(wanted);
                assertThat(document.start()).isLessThan(asked.start());
                Arrays.fill(expected, asked.start(3), asked.end(3), true);
            }
            assertThat(answers).isEqualTo(expected);
        }
        assertThat(questions).isGreaterThan(80);
        assertThatThrownBy(() -> sequences.check(LengthCourse.constant(1024, 1)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("2048");
    }

    @Test
    void shortSequencesListExcerptsAndAskForThem() {
        DocumentSequences sequences = new DocumentSequences(TEXT, BYTES, squad().forTraining());
        Pattern asked = Pattern.compile("where does it say \"(.*?)\"\\? The answer is in document (\\d{3})\\.");
        int questions = 0;
        for (int seed = 0; seed < 40; seed++) {
            boolean[] answers = new boolean[512];
            String text = BYTES.decode(sequences.draw(512, 0, new SplittableRandom(seed), answers));
            assertThat(text).hasSize(512);
            Matcher question = asked.matcher(text);
            while (question.find()) {
                questions++;
                Matcher document = Pattern.compile(" Document " + question.group(2) + ": (.*)\n")
                        .matcher(text);
                assertThat(document.find()).isTrue();
                assertThat(document.group(1)).contains(question.group(1));
                assertThat(answers[question.start(2)]).isTrue();
            }
        }
        assertThat(questions).isGreaterThan(40);
    }

    @Test
    void theSharedFileIsRead() {
        Squad all = Squad.read(SharedData.require("data/qa/xquad.en.json"));
        assertThat(all.paragraphs()).hasSize(240);
        assertThat(all.forTests().paragraphs()).hasSize(60);
        assertThat(all.forTraining().paragraphs()).hasSize(180);
    }

    @Test
    void anotherLayoutIsRefused(@TempDir Path folder) throws IOException {
        for (String text : List.of("{}", "{\"data\": []}", "{\"data\": [{\"paragraphs\": [{\"qas\": []}]}]}", "[1]")) {
            Path file = Files.writeString(folder.resolve("q.json"), text);
            assertThatThrownBy(() -> Squad.read(file))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("q.json");
        }
        assertThatThrownBy(() -> new DocumentRetrieval.Grid(List.of(1), List.of(0.0), 1, 0))
                .hasMessageContaining("from 2 to 1000");
    }
}
