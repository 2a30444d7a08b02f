package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.DoubleConsumer;
import org.mamba4j.UserError;
import org.mamba4j.data.Draws;

/**
 * Document retrieval: which of many numbered paragraphs answers a question?
 *
 * <p>The model reads the documents in a row, among them the one that answers, and the question; it is right when it would
 * generate all three digits of that document's number greedily. The others are paragraphs of other articles as long as
 * there are some, then stretches of a text; a caption should say so.
 *
 * <p>Everything follows from the seed, the number of documents and that of the trial alone. The depths of one trial differ
 * only in where the document stands that answers.
 */
public final class DocumentRetrieval {
    private final Subject subject;
    private final GreedyAnswers answers;
    private final NumberedDocuments wording;
    private final NoiseDocuments noise;
    private final Squad squad;

    /**
     * What is asked.
     *
     * @param documents how many of them a question chooses from
     * @param depths shares of the documents before the one that answers, in [0, 1]
     * @param trials for each number and depth
     * @param seed of everything
     */
    public record Grid(List<Integer> documents, List<Double> depths, int trials, long seed) {
        /** @throws UserError if a value is out of its range */
        public Grid {
            documents = List.copyOf(documents);
            depths = List.copyOf(depths);
            if (documents.isEmpty() || depths.isEmpty() || trials < 1) {
                throw new UserError("at least one number of documents, one depth and one trial are needed");
            }
            for (double depth : depths) {
                if (!(depth >= 0 && depth <= 1)) {
                    throw new UserError("a depth is " + depth + ", but must be from 0 (beginning) to 1 (end)");
                }
            }
            for (int count : documents) {
                if (count < 2 || count > NumberedDocuments.NUMBERS) {
                    throw new UserError("a number of documents is " + count + ", but must be from 2 to "
                            + NumberedDocuments.NUMBERS);
                }
            }
        }
    }

    /**
     * @param squad paragraphs that the model was not trained on
     * @param text where documents come from when the paragraphs are used up
     */
    public DocumentRetrieval(Subject subject, Squad squad, Filler text) {
        this.subject = subject;
        this.answers = new GreedyAnswers(subject);
        this.wording = new NumberedDocuments(subject.tokenizer());
        this.noise = new NoiseDocuments(text, subject.tokenizer());
        this.squad = squad;
    }

    /**
     * Measures every cell.
     *
     * @param progress told the fraction of the work done, in (0, 1], after every trial of all depths
     * @throws UserError if documents from the text are needed and there is no text
     */
    public RetrievalResult measure(Grid grid, DoubleConsumer progress) {
        int columns = grid.depths().size();
        List<Integer> falling = grid.documents().stream()
                .distinct()
                .sorted(Comparator.reverseOrder())
                .toList();
        AtomicIntegerArray correct = new AtomicIntegerArray(falling.size() * columns);
        AtomicLongArray tokens = new AtomicLongArray(falling.size());
        Progress done =
                new Progress(falling.stream().mapToDouble(Integer::doubleValue).sum() * grid.trials(), progress);
        subject.each(falling.size() * grid.trials(), task -> {
            int row = task / grid.trials();
            List<Trial> trials = trials(grid, falling.get(row), task % grid.trials());
            boolean[] right = answers.areRight(trials);
            for (int d = 0; d < columns; d++) {
                if (right[d]) {
                    correct.incrementAndGet(row * columns + d);
                }
            }
            tokens.addAndGet(row, trials.getFirst().context().length);
            done.add(falling.get(row));
        });
        List<RetrievalResult.Cell> cells = new ArrayList<>();
        for (int count : grid.documents()) {
            int row = falling.indexOf(count);
            int length = Math.toIntExact(tokens.get(row) / grid.trials());
            for (int d = 0; d < columns; d++) {
                int right = correct.get(row * columns + d);
                cells.add(RetrievalResult.Cell.ofDocuments(
                        count, length, grid.depths().get(d), grid.trials(), right));
            }
        }
        return new RetrievalResult(cells);
    }

    /** Trial number {@code i} with {@code count} documents, at every depth. */
    List<Trial> trials(Grid grid, int count, int i) {
        SplittableRandom random = Draws.of(Draws.seed(grid.seed(), count), i);
        Squad.Paragraph golden =
                squad.paragraphs().get(random.nextInt(squad.paragraphs().size()));
        String question =
                golden.questions().get(random.nextInt(golden.questions().size()));
        int[] numbers = NumberedDocuments.numbers(count, random);
        List<Squad.Paragraph> others = new ArrayList<>(squad.paragraphs().stream()
                .filter(p -> p.article() != golden.article())
                .toList());
        List<int[]> documents = new ArrayList<>();
        for (int number : Arrays.copyOfRange(numbers, 1, count)) {
            String document = others.isEmpty()
                    ? noise.draw(Integer.MAX_VALUE, random)
                    : others.remove(random.nextInt(others.size())).text();
            documents.add(wording.document(number, document));
        }
        PassKeys.Sentence asked = wording.question(question, numbers[0]);
        int[] right = wording.document(numbers[0], golden.text());
        List<Trial> trials = new ArrayList<>();
        for (double depth : grid.depths()) {
            List<int[]> parts = new ArrayList<>(documents);
            parts.add((int) Math.round(depth * documents.size()), right);
            parts.add(asked.prompt());
            trials.add(new Trial(parts.stream().flatMapToInt(Arrays::stream).toArray(), asked.answer()));
        }
        return trials;
    }
}
