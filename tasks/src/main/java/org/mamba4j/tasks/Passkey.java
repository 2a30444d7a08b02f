package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.DoubleConsumer;
import org.mamba4j.UserError;
import org.mamba4j.data.Draws;
import org.mamba4j.text.Tokenizer;

/**
 * The passkey task: does a model find a key of five digits that a sentence stated somewhere in a long text?
 *
 * <p>The model reads {@code length} tokens: text, the statement after a share {@code depth} of it, and at the end the
 * question. It is right when the token that it thinks most likely is the right one at every place of the answer, which is
 * so exactly when it would generate all of the answer greedily. With more than one key, the others stand at random places
 * and belong to other names: then it does not help to remember just any number.
 *
 * <p>Text, keys, names and places follow from the seed, the length and the number of the trial alone, so a grid can be
 * measured in parts, and two models answer the same questions. The depths of one trial share text and name; the digits and
 * the place of the statement asked for differ, and what comes before it is read once for all of them.
 */
public final class Passkey {
    private final Subject subject;
    private final GreedyAnswers answers;
    private final PassKeys passKeys;

    /**
     * What is asked.
     *
     * @param lengths tokens read before the answer
     * @param depths shares of the text before the statement, in [0, 1]
     * @param trials for each length and depth
     * @param keys stated in a text, one of them asked for
     * @param seed of everything
     */
    public record Grid(List<Integer> lengths, List<Double> depths, int trials, int keys, long seed) {
        /** @throws UserError if a value is out of its range */
        public Grid {
            lengths = List.copyOf(lengths);
            depths = List.copyOf(depths);
            if (lengths.isEmpty() || depths.isEmpty() || trials < 1) {
                throw new UserError("at least one length, one depth and one trial are needed");
            }
            for (double depth : depths) {
                if (!(depth >= 0 && depth <= 1)) {
                    throw new UserError("a depth is " + depth + ", but must be from 0 (beginning) to 1 (end)");
                }
            }
            if (keys < 1 || keys > PassKeys.NAMES.size()) {
                throw new UserError("the number of keys is " + keys + ", but must be from 1 to " + PassKeys.NAMES.size()
                        + ", the number of names");
            }
        }
    }

    public Passkey(Subject subject) {
        this.subject = subject;
        this.answers = new GreedyAnswers(subject);
        this.passKeys = new PassKeys(subject.tokenizer());
    }

    /**
     * Measures every cell.
     *
     * @param text that the model was not trained on
     * @param progress told the fraction of the work done, in (0, 1], after every trial of all depths
     * @throws UserError if a length is too short for the sentences or longer than the text
     */
    public RetrievalResult measure(Grid grid, Filler text, DoubleConsumer progress) {
        for (int length : grid.lengths()) {
            trial(grid, text, length, grid.depths().getFirst(), 0); // before hours of work, not after them
        }
        int columns = grid.depths().size();
        // The longest first: then nobody waits long for the last one.
        List<Integer> falling = grid.lengths().stream()
                .distinct()
                .sorted(Comparator.reverseOrder())
                .toList();
        AtomicIntegerArray correct = new AtomicIntegerArray(falling.size() * columns);
        Progress done =
                new Progress(falling.stream().mapToDouble(Integer::doubleValue).sum() * grid.trials(), progress);
        subject.each(falling.size() * grid.trials(), task -> {
            int row = task / grid.trials();
            int length = falling.get(row);
            List<Trial> trials = new ArrayList<>();
            for (double depth : grid.depths()) {
                trials.add(trial(grid, text, length, depth, task % grid.trials()));
            }
            boolean[] right = answers.areRight(trials);
            for (int d = 0; d < columns; d++) {
                if (right[d]) {
                    correct.incrementAndGet(row * columns + d);
                }
            }
            done.add(length);
        });
        List<RetrievalResult.Cell> cells = new ArrayList<>();
        for (int length : grid.lengths()) {
            for (int d = 0; d < columns; d++) {
                int right = correct.get(falling.indexOf(length) * columns + d);
                cells.add(new RetrievalResult.Cell(length, grid.depths().get(d), grid.trials(), right));
            }
        }
        return new RetrievalResult(cells);
    }

    /**
     * A text to look at: one key, stated and asked for at the end, with its answer.
     *
     * @param tokens all of it
     * @param statedFrom first token of the statement
     * @param statedTo one behind its last
     * @param askedFrom first token of the question
     * @param answerFrom first token of the answer
     * @param answerTo one behind its last
     */
    @SuppressWarnings("ArrayRecordComponent") // identity is enough: examples are never compared
    public record Example(int[] tokens, int statedFrom, int statedTo, int askedFrom, int answerFrom, int answerTo) {}

    /**
     * The example of a seed.
     *
     * @param length tokens before the answer
     * @param depth share of the text before the statement
     * @throws UserError if the text is too short
     */
    public static Example example(Tokenizer tokenizer, Filler text, int length, double depth, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        PassKeys keys = new PassKeys(tokenizer);
        PassKeys.Key key = PassKeys.draw(1, random).getFirst();
        int[] statement = keys.statement(key).tokens();
        PassKeys.Sentence asked = keys.question(key);
        int[] question = asked.tokens();
        int filler = length - statement.length - asked.prompt().length;
        if (filler < 1) {
            throw new UserError("an example of " + length + " tokens has no room for a key: use a longer one");
        }
        int place = (int) Math.round(depth * filler);
        int[] drawn = text.draw(filler, random);
        int[] tokens = new int[filler + statement.length + question.length];
        System.arraycopy(drawn, 0, tokens, 0, place);
        System.arraycopy(statement, 0, tokens, place, statement.length);
        System.arraycopy(drawn, place, tokens, place + statement.length, filler - place);
        System.arraycopy(question, 0, tokens, filler + statement.length, question.length);
        int askedFrom = filler + statement.length;
        return new Example(
                tokens,
                place,
                place + statement.length,
                askedFrom,
                askedFrom + asked.answerFrom(),
                askedFrom + asked.answerTo());
    }

    /** Trial number {@code i} of a cell. */
    Trial trial(Grid grid, Filler text, int length, double depth, int i) {
        long seed = Draws.seed(Draws.seed(grid.seed(), length), i);
        SplittableRandom random = new SplittableRandom(seed);
        List<PassKeys.Key> keys = PassKeys.draw(grid.keys(), random);
        SplittableRandom ofDepth = Draws.of(seed, Double.doubleToLongBits(depth));
        keys.set(0, new PassKeys.Key(keys.getFirst().name(), PassKeys.digits(ofDepth)));
        List<PassKeys.Sentence> statements =
                keys.stream().map(passKeys::statement).toList();
        PassKeys.Sentence question = passKeys.question(keys.getFirst());
        int[] prompt = question.prompt();
        int needles = statements.stream().mapToInt(s -> s.tokens().length).sum();
        int filler = length - needles - prompt.length;
        if (filler < 0) {
            throw new UserError("a length is " + length + " tokens, but " + grid.keys() + " keys and the question take "
                    + (needles + prompt.length) + ": use longer texts");
        }
        Haystack haystack = new Haystack();
        haystack.add((int) Math.round(depth * filler), statements.getFirst());
        for (PassKeys.Sentence other : statements.subList(1, statements.size())) {
            haystack.add(random.nextInt(filler + 1), other);
        }
        int[] before = haystack.text(text.draw(filler, random), new boolean[length]);
        int[] context = Arrays.copyOf(before, length);
        System.arraycopy(prompt, 0, context, length - prompt.length, prompt.length);
        return new Trial(context, question.answer());
    }
}
