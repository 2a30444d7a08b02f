package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.text.Tokenizer;

/**
 * Sequences that list numbered documents and then ask which of them answers a question; {@link DocumentRetrieval} asks
 * with the same words.
 *
 * <p>Half of the documents are paragraphs of a file of questions, the others stretches of the text. Since such files are
 * small, half of the questions quote words of a document: also a choice of one of many by what stands in it, and never
 * the same twice. Documents fill a sequence as far as they fit, text the rest. Sequences too short for paragraphs list
 * excerpts of a line or two, so that what a memory learns while it is dense is already to look for a document.
 */
public final class DocumentSequences implements Sequences {
    private static final int MOST_QUESTIONS = 4;

    /** A sequence that is shorter holds no two paragraphs with questions. */
    private static final int PARAGRAPHS_FROM = 2048;

    /** A sequence that is shorter holds no two excerpts with a question. */
    private static final int EXCERPTS_FROM = 384;

    private final Filler text;
    private final NoiseDocuments noise;
    private final NumberedDocuments wording;
    private final Squad squad;

    /** @param squad whose paragraphs and questions may be learnt */
    public DocumentSequences(Filler text, Tokenizer tokenizer, Squad squad) {
        this.text = text;
        this.noise = new NoiseDocuments(text, tokenizer);
        this.wording = new NumberedDocuments(tokenizer);
        this.squad = squad;
    }

    /** @throws UserError if no phase's sequences are long enough */
    void check(LengthCourse course) {
        int longest = course.phases().getLast().length();
        if (longest < PARAGRAPHS_FROM) {
            throw new UserError("documents and questions need sequences of " + PARAGRAPHS_FROM
                    + " tokens or more, but the" + " longest have " + longest + ": use longer ones, or no documents");
        }
    }

    /** A document in a sequence; the questions that a file has for it, or none. */
    private record Listed(int number, String text, List<String> questions) {}

    @Override
    public int[] draw(int length, int phase, SplittableRandom random, boolean[] answers) {
        if (length < EXCERPTS_FROM) {
            return text.draw(length, random);
        }
        List<int[]> documents = new ArrayList<>();
        List<Listed> listed = list(length, random, documents);
        int used = documents.stream().mapToInt(tokens -> tokens.length).sum();
        List<PassKeys.Sentence> questions = new ArrayList<>();
        for (PassKeys.Sentence question : ask(listed, random)) {
            if (used + question.tokens().length <= length) {
                questions.add(question);
                used += question.tokens().length;
            }
        }
        int[] filler = text.draw(length - used, random);
        int place = random.nextInt(filler.length + 1);
        int askedAt = random.nextInt(place, filler.length + 1);
        Haystack haystack = new Haystack();
        for (int[] document : documents) {
            haystack.add(place, new PassKeys.Sentence(document, document.length, document.length));
        }
        questions.forEach(question -> haystack.add(askedAt, question));
        return haystack.text(filler, answers);
    }

    private List<Listed> list(int length, SplittableRandom random, List<int[]> parts) {
        boolean paragraphsFit = length >= PARAGRAPHS_FROM;
        int budget = paragraphsFit ? length * 4 / 5 : length * 3 / 5;
        List<Listed> listed = new ArrayList<>();
        List<Squad.Paragraph> paragraphs = new ArrayList<>(squad.paragraphs());
        int[] numbers = NumberedDocuments.numbers(NumberedDocuments.NUMBERS, random);
        int left = random.nextInt(budget / 4, budget);
        while (listed.size() < numbers.length) {
            Listed next;
            if (paragraphsFit && random.nextBoolean() && listed.size() < paragraphs.size()) {
                Collections.swap(
                        paragraphs, listed.size(), listed.size() + random.nextInt(paragraphs.size() - listed.size()));
                Squad.Paragraph paragraph = paragraphs.get(listed.size());
                next = new Listed(numbers[listed.size()], paragraph.text(), paragraph.questions());
            } else {
                next = new Listed(numbers[listed.size()], noise.drawFor(length, budget, random), List.of());
            }
            int[] tokens = wording.document(next.number(), next.text());
            if ((tokens.length > left && listed.size() >= 2) || tokens.length > budget) {
                return listed;
            }
            parts.add(tokens);
            listed.add(next);
            left -= tokens.length;
            budget -= tokens.length;
        }
        return listed;
    }

    private List<PassKeys.Sentence> ask(List<Listed> listed, SplittableRandom random) {
        List<Listed> shuffled = new ArrayList<>(listed);
        List<PassKeys.Sentence> questions = new ArrayList<>();
        for (int i = 0; i < Math.min(MOST_QUESTIONS, shuffled.size()); i++) {
            Collections.swap(shuffled, i, i + random.nextInt(shuffled.size() - i));
            Listed document = shuffled.get(i);
            boolean quotes = document.questions().isEmpty() || random.nextInt(3) == 0;
            questions.add(
                    quotes
                            ? wording.quotation(NoiseDocuments.words(document.text(), random), document.number())
                            : wording.question(
                                    document.questions()
                                            .get(random.nextInt(
                                                    document.questions().size())),
                                    document.number()));
        }
        return questions;
    }
}
