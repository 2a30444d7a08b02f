package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.text.Tokenizer;

/**
 * What a model learns to remember keys from: text with keys stated in it and each asked for twice later, at random places.
 * Training and {@link Passkey} share the sentences.
 *
 * <p>The weights make the loss (mean over text + w · mean over the answers' digits) / (1 + w), with w the answer weight:
 * a handful of digits in thousands of tokens would be drowned otherwise. The digits of an answer are no part of the text's
 * mean; the wording of questions and statements is.
 *
 * <p>Sequences get longer from phase to phase, and with them the number of keys: 1 to that many in each sequence, so that
 * needles never fill the text.
 */
public final class PasskeyMixture implements BatchSource {
    private static final int QUESTIONS_PER_KEY = 2;

    private final Filler filler;
    private final Tokenizer tokenizer;
    private final PassKeys passKeys;
    private final List<Phase> phases;
    private final double answerWeight;
    private final long seed;

    /**
     * From one batch on until the next phase begins.
     *
     * @param firstBatch number of its first batch
     * @param length tokens of a sequence (L)
     * @param rows sequences of a batch (B)
     * @param keys greatest number of keys in a sequence
     */
    public record Phase(long firstBatch, int length, int rows, int keys) {}

    /**
     * @param phases in order; the first begins with batch 0
     * @param answerWeight w above, above 0
     * @param seed of everything
     * @throws UserError if a phase's keys do not fit into its sequences, or the text is shorter than a sequence
     */
    public PasskeyMixture(Filler filler, Tokenizer tokenizer, List<Phase> phases, double answerWeight, long seed) {
        this.filler = filler;
        this.tokenizer = tokenizer;
        this.passKeys = new PassKeys(tokenizer);
        this.phases = List.copyOf(phases);
        this.answerWeight = answerWeight;
        this.seed = seed;
        check();
    }

    private void check() {
        if (phases.isEmpty() || phases.getFirst().firstBatch() != 0) {
            throw new UserError("the first phase of a mixture must begin with batch 0");
        }
        if (!(answerWeight > 0) || !Double.isFinite(answerWeight)) {
            throw new UserError("the answer weight is " + answerWeight + ", but must be a number above 0");
        }
        long last = -1;
        for (Phase phase : phases) {
            if (phase.firstBatch() <= last || phase.rows() < 1) {
                throw new UserError("phases must follow each other and have at least 1 row: " + phase);
            }
            if (phase.keys() < 1 || phase.keys() > PassKeys.NAMES.size()) {
                throw new UserError("a phase has " + phase.keys() + " keys, but must have 1 to " + PassKeys.NAMES.size()
                        + ", the number of names");
            }
            last = phase.firstBatch();
            int most = phase.keys() * tokensPerKey();
            if (most > phase.length()) {
                throw new UserError(phase.keys() + " keys and their questions take up to " + most + " tokens, but a"
                        + " sequence has " + phase.length() + ": use fewer keys or longer sequences");
            }
            if (filler.size() <= phase.length()) {
                throw new UserError("the text has " + filler.size() + " tokens, but sequences of " + phase.length()
                        + " are wanted: give more text");
            }
        }
    }

    private int tokensPerKey() {
        int most = 0;
        for (String name : PassKeys.NAMES) {
            PassKeys.Key key = new PassKeys.Key(name, "00000");
            int tokens = passKeys.statement(key).tokens().length
                    + QUESTIONS_PER_KEY * passKeys.question(key).tokens().length;
            most = Math.max(most, tokens);
        }
        return most;
    }

    /** The phase that batch {@code index} is in. */
    public Phase phase(long index) {
        Phase current = phases.getFirst();
        for (Phase phase : phases) {
            current = phase.firstBatch() <= index ? phase : current;
        }
        return current;
    }

    @Override
    public Batch batch(long index) {
        if (index < 0) {
            throw new IndexOutOfBoundsException("batch " + index);
        }
        Phase phase = phase(index);
        SplittableRandom random = new SplittableRandom(seed * 0x9E3779B97F4A7C15L + index);
        int[] inputs = new int[Math.multiplyExact(phase.rows(), phase.length())];
        int[] targets = new int[inputs.length];
        boolean[] answers = new boolean[inputs.length];
        for (int row = 0; row < phase.rows(); row++) {
            boolean[] marks = new boolean[phase.length() + 1];
            int[] text = sequence(phase, random.split(), marks);
            System.arraycopy(text, 0, inputs, row * phase.length(), phase.length());
            System.arraycopy(text, 1, targets, row * phase.length(), phase.length());
            System.arraycopy(marks, 1, answers, row * phase.length(), phase.length());
        }
        return Batch.weighted(phase.rows(), inputs, targets, weights(answers));
    }

    private float[] weights(boolean[] answers) {
        int digits = 0;
        for (boolean answer : answers) {
            digits += answer ? 1 : 0;
        }
        float ofText = 1f / (answers.length - digits);
        float ofDigits = (float) answerWeight / Math.max(1, digits);
        float[] weights = new float[answers.length];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = answers[i] ? ofDigits : ofText;
        }
        return weights;
    }

    /** L + 1 tokens. */
    private int[] sequence(Phase phase, SplittableRandom random, boolean[] marks) {
        List<PassKeys.Key> keys = PassKeys.draw(1 + random.nextInt(phase.keys()), random);
        List<PassKeys.Sentence> sentences = inOrder(keys, random);
        int needles = sentences.stream().mapToInt(s -> s.tokens().length).sum();
        int[] text = filler.draw(phase.length() + 1 - needles, random);
        int[] places =
                random.ints(sentences.size(), 0, text.length + 1).sorted().toArray();
        Haystack haystack = new Haystack();
        for (int i = 0; i < places.length; i++) {
            haystack.add(places[i], sentences.get(i));
        }
        return haystack.text(text, marks);
    }

    /** Statements and questions in an order in which each question comes after its answer; all such are equally likely. */
    private List<PassKeys.Sentence> inOrder(List<PassKeys.Key> keys, SplittableRandom random) {
        List<PassKeys.Key> order = new ArrayList<>();
        for (int i = 0; i < 1 + QUESTIONS_PER_KEY; i++) {
            order.addAll(keys);
        }
        for (int i = order.size() - 1; i > 0; i--) {
            Collections.swap(order, i, random.nextInt(i + 1));
        }
        Set<PassKeys.Key> stated = new HashSet<>();
        List<PassKeys.Sentence> sentences = new ArrayList<>();
        for (PassKeys.Key key : order) {
            sentences.add(stated.add(key) ? passKeys.statement(key) : passKeys.question(key));
        }
        return sentences;
    }

    @Override
    public long batchesPerEpoch() {
        return Long.MAX_VALUE;
    }

    @Override
    public int vocabSize() {
        return tokenizer.vocabSize();
    }

    @Override
    public String toString() {
        return "passkey mixture " + Arrays.toString(phases.toArray()) + ", answer weight " + answerWeight + ", seed "
                + seed;
    }
}
