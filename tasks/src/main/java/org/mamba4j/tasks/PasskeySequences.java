package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.text.Tokenizer;

/**
 * Text with keys stated in it and each asked for twice later, at random places that do not overlap; {@link Passkey} asks
 * with the same sentences.
 *
 * <p>Sequences get longer from phase to phase, and with them the number of keys: 1 to that many in each sequence, so that
 * needles never fill the text. Some sequences have {@link Distractors} in their text too.
 */
public final class PasskeySequences implements Sequences {
    private static final int QUESTIONS_PER_KEY = 2;

    private final Filler filler;
    private final PassKeys passKeys;
    private final Distractors distractors;
    private final List<Integer> keys;
    private final double hard;
    private final Tokenizer tokenizer;

    /**
     * @param keys greatest number of keys in a sequence, by phase; the last one holds on
     * @param hard share of the sequences whose text is made harder, in [0, 1]
     */
    public PasskeySequences(Filler filler, Tokenizer tokenizer, List<Integer> keys, double hard) {
        this.filler = filler;
        this.tokenizer = tokenizer;
        this.passKeys = new PassKeys(tokenizer);
        this.distractors = new Distractors(tokenizer);
        this.keys = List.copyOf(keys);
        this.hard = hard;
    }

    private int mostKeys(int phase) {
        return keys.get(Math.min(phase, keys.size() - 1));
    }

    /** @throws UserError if a phase's keys do not fit into its sequences */
    void check(LengthCourse course) {
        if (keys.isEmpty() || keys.size() > course.phases().size()) {
            throw new UserError("there are " + keys.size() + " numbers of keys, but "
                    + course.phases().size() + " lengths: give one for each length, or fewer");
        }
        for (int phase = 0; phase < course.phases().size(); phase++) {
            int most = mostKeys(phase);
            if (most < 1 || most > PassKeys.NAMES.size()) {
                throw new UserError("a phase has " + most + " keys, but must have 1 to " + PassKeys.NAMES.size()
                        + ", the number of names");
            }
            int tokens = most * tokensPerKey();
            int length = course.phases().get(phase).length();
            if (tokens > length) {
                throw new UserError(most + " keys and their questions take up to " + tokens + " tokens, but a sequence"
                        + " has " + length + ": use fewer keys or longer sequences");
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

    @Override
    public int[] draw(int length, int phase, SplittableRandom random, boolean[] answers) {
        List<PassKeys.Key> drawn = PassKeys.draw(1 + random.nextInt(mostKeys(phase)), random);
        List<PassKeys.Sentence> sentences = inOrder(drawn, random);
        int needles = sentences.stream().mapToInt(s -> s.tokens().length).sum();
        int[] text = random.nextDouble() < hard
                ? distractors.into(filler, length - needles, random)
                : filler.draw(length - needles, random);
        int[] places =
                random.ints(sentences.size(), 0, text.length + 1).sorted().toArray();
        Haystack haystack = new Haystack();
        for (int i = 0; i < places.length; i++) {
            haystack.add(places[i], sentences.get(i));
        }
        return haystack.text(text, answers);
    }

    /** Statements and questions in an order in which each question comes after its answer; all such are equally likely. */
    private List<PassKeys.Sentence> inOrder(List<PassKeys.Key> drawn, SplittableRandom random) {
        List<PassKeys.Key> order = new ArrayList<>();
        for (int i = 0; i < 1 + QUESTIONS_PER_KEY; i++) {
            order.addAll(drawn);
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
    public String toString() {
        return "passkeys " + keys + " over " + tokenizer.vocabSize() + " tokens, " + hard + " of them hard";
    }
}
