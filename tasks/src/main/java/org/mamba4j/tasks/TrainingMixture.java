package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Draws;
import org.mamba4j.data.LengthCourse;

/**
 * What a model learns to remember from: sequences of several kinds, text and tasks, each kind with its share. Training
 * and evaluation of a task share its sentences.
 *
 * <p>The weights make the loss of a batch t · (mean over all that is no answer) + w · (mean over the answers' tokens): a
 * handful of digits in thousands of tokens would be drowned otherwise. The tokens of an answer are no part of the text's
 * mean; the wording of questions and statements is.
 *
 * <p>Every sequence is drawn by itself, so shares hold on average.
 */
public final class TrainingMixture implements BatchSource {
    private final List<Kind> kinds = new ArrayList<>();
    private final Settings settings;

    private record Kind(double share, Sequences sequences) {}

    /**
     * Of all kinds together.
     *
     * @param text around what is asked for
     * @param course shapes of the batches
     * @param vocabSize of the tokenizer
     * @param textWeight t above, at least 0
     * @param answerWeight w above, above 0
     * @param seed of everything
     */
    public record Settings(
            Filler text, LengthCourse course, int vocabSize, double textWeight, double answerWeight, long seed) {
        /** @throws UserError if a weight is out of its range, or the text is shorter than a sequence */
        public Settings {
            if (!(answerWeight > 0) || !Double.isFinite(answerWeight)) {
                throw new UserError("the answer weight is " + answerWeight + ", but must be a number above 0");
            }
            if (!(textWeight >= 0) || !Double.isFinite(textWeight)) {
                throw new UserError("the text's weight is " + textWeight + ", but must be a number of at least 0");
            }
            for (LengthCourse.Phase phase : course.phases()) {
                if (text.size() <= phase.length()) {
                    throw new UserError("the text has " + text.size() + " tokens, but sequences of " + phase.length()
                            + " are wanted: give more text");
                }
            }
        }
    }

    /** Text alone, as far as {@link #add} leaves a share. */
    public TrainingMixture(Settings settings) {
        this.settings = settings;
    }

    /**
     * Adds sequences with pass keys.
     *
     * @param share of all sequences, in [0, 1]
     * @return this
     * @throws UserError if a phase's keys do not fit into its sequences
     */
    public TrainingMixture add(double share, PasskeySequences sequences) {
        sequences.check(settings.course());
        return addKind(share, sequences);
    }

    /**
     * Adds sequences with documents.
     *
     * @param share of all sequences, in [0, 1]
     * @return this
     * @throws UserError if all sequences are too short for documents
     */
    public TrainingMixture add(double share, DocumentSequences sequences) {
        sequences.check(settings.course());
        return addKind(share, sequences);
    }

    private TrainingMixture addKind(double share, Sequences sequences) {
        if (!(share >= 0 && share + asking() <= 1 + 1e-9)) {
            throw new UserError("a share of the sequences is " + share + ": shares must be at least 0, and not more"
                    + " than 1 together");
        }
        if (share > 0) {
            kinds.add(new Kind(share, sequences));
        }
        return this;
    }

    private double asking() {
        return kinds.stream().mapToDouble(Kind::share).sum();
    }

    @Override
    public Batch batch(long index) {
        if (index < 0) {
            throw new IndexOutOfBoundsException("batch " + index);
        }
        LengthCourse.Phase phase = settings.course().at(index);
        int length = phase.length();
        SplittableRandom random = Draws.of(settings.seed(), index);
        int[] inputs = new int[Math.multiplyExact(phase.rows(), length)];
        int[] targets = new int[inputs.length];
        boolean[] answers = new boolean[inputs.length];
        for (int row = 0; row < phase.rows(); row++) {
            boolean[] marks = new boolean[length + 1];
            int[] text = sequence(length + 1, settings.course().phaseOf(index), random.split(), marks);
            System.arraycopy(text, 0, inputs, row * length, length);
            System.arraycopy(text, 1, targets, row * length, length);
            System.arraycopy(marks, 1, answers, row * length, length);
        }
        return Batch.weighted(phase.rows(), inputs, targets, weights(answers));
    }

    private int[] sequence(int length, int phase, SplittableRandom random, boolean[] marks) {
        // Where text has no weight, a sequence of nothing else would be of no use.
        double place = random.nextDouble() * (settings.textWeight() == 0 ? asking() : 1);
        for (Kind kind : kinds) {
            if (place < kind.share()) {
                return kind.sequences().draw(length, phase, random, marks);
            }
            place -= kind.share();
        }
        return settings.text().draw(length, random);
    }

    private float[] weights(boolean[] answers) {
        int tokens = 0;
        for (boolean answer : answers) {
            tokens += answer ? 1 : 0;
        }
        float ofText = (float) (settings.textWeight() / Math.max(1, answers.length - tokens));
        float ofAnswers = (float) (settings.answerWeight() / Math.max(1, tokens));
        float[] weights = new float[answers.length];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = answers[i] ? ofAnswers : ofText;
        }
        return weights;
    }

    @Override
    public long batchesPerEpoch() {
        return Long.MAX_VALUE;
    }

    @Override
    public int vocabSize() {
        return settings.vocabSize();
    }
}
