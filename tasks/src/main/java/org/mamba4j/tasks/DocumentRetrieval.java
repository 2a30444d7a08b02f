package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleConsumer;
import org.mamba4j.UserError;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.text.Tokenizer;

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
     * @param model stays the caller's to close
     * @param tokenizer the one that the model was trained with
     * @param squad paragraphs that the model was not trained on
     * @param text where documents come from when the paragraphs are used up
     */
    public DocumentRetrieval(LanguageModel model, Tokenizer tokenizer, Squad squad, Filler text) {
        this.answers = new GreedyAnswers(model, tokenizer);
        this.wording = new NumberedDocuments(tokenizer);
        this.noise = new NoiseDocuments(text, tokenizer);
        this.squad = squad;
    }

    /**
     * Measures every cell.
     *
     * @param progress told the fraction of the work done, in (0, 1], after every trial of all depths
     * @throws UserError if documents from the text are needed and there is no text
     */
    public RetrievalResult measure(Grid grid, DoubleConsumer progress) {
        double all =
                (double) grid.documents().stream().mapToInt(Integer::intValue).sum() * grid.trials();
        double done = 0;
        List<RetrievalResult.Cell> cells = new ArrayList<>();
        for (int count : grid.documents()) {
            int[] correct = new int[grid.depths().size()];
            long tokens = 0;
            for (int i = 0; i < grid.trials(); i++) {
                List<Trial> trials = trials(grid, count, i);
                boolean[] right = answers.areRight(trials);
                for (int d = 0; d < right.length; d++) {
                    correct[d] += right[d] ? 1 : 0;
                }
                tokens += trials.getFirst().context().length;
                done += count;
                progress.accept(Math.min(1, done / all));
            }
            int length = Math.toIntExact(tokens / grid.trials());
            for (int d = 0; d < correct.length; d++) {
                cells.add(RetrievalResult.Cell.ofDocuments(
                        count, length, grid.depths().get(d), grid.trials(), correct[d]));
            }
        }
        return new RetrievalResult(cells);
    }

    /** Trial number {@code i} with {@code count} documents, at every depth. */
    List<Trial> trials(Grid grid, int count, int i) {
        SplittableRandom random = new SplittableRandom((grid.seed() * 1_000_003 + count) * 1_000_003 + i);
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
