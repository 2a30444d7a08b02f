package org.mamba4j.tasks;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonValue;

/**
 * Paragraphs with questions that they answer, from a file in SQuAD's JSON layout ({@code data[].paragraphs[]} with a
 * {@code context} and {@code qas[].question}).
 *
 * @param paragraphs those with a question, in the file's order
 */
public record Squad(List<Paragraph> paragraphs) {
    /** One article of so many is for tests, whichever the file. */
    private static final int TEST_EVERY = 4;

    /**
     * A paragraph.
     *
     * @param article number of its article in the file
     * @param text without line breaks
     * @param questions that it answers, at least one
     */
    public record Paragraph(int article, String text, List<String> questions) {
        /** Copies {@code questions}. */
        public Paragraph {
            questions = List.copyOf(questions);
        }
    }

    /** Copies {@code paragraphs}. */
    public Squad {
        paragraphs = List.copyOf(paragraphs);
    }

    /** @throws UserError if the file cannot be read, is of another layout, or has no paragraph with a question */
    public static Squad read(Path file) {
        List<Paragraph> all = new ArrayList<>();
        List<JsonValue> articles =
                JsonFields.of(Json.read(file), file.toString()).array("data");
        for (int article = 0; article < articles.size(); article++) {
            JsonFields fields = JsonFields.of(articles.get(article), file + ": data[" + article + "]");
            for (JsonValue value : fields.array("paragraphs")) {
                JsonFields paragraph = JsonFields.of(value, fields.source() + ".paragraphs");
                List<String> questions = new ArrayList<>();
                for (JsonValue question : paragraph.array("qas")) {
                    questions.add(oneLine(
                            JsonFields.of(question, paragraph.source() + ".qas").string("question")));
                }
                if (!questions.isEmpty()) {
                    all.add(new Paragraph(article, oneLine(paragraph.string("context")), questions));
                }
            }
        }
        if (all.isEmpty()) {
            throw new UserError(file + " has no paragraph with a question");
        }
        return new Squad(all);
    }

    private static String oneLine(String text) {
        return text.strip().replaceAll("\\s+", " ");
    }

    /** What a model may be trained on: no paragraph of an article that {@link #forTests} has. */
    public Squad forTraining() {
        return new Squad(paragraphs.stream()
                .filter(p -> p.article() % TEST_EVERY != TEST_EVERY - 1)
                .toList());
    }

    /** What it is asked: every fourth article. */
    public Squad forTests() {
        return new Squad(paragraphs.stream()
                .filter(p -> p.article() % TEST_EVERY == TEST_EVERY - 1)
                .toList());
    }
}
