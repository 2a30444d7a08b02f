package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Logits;
import org.mamba4j.inference.State;
import org.mamba4j.text.Tokenizer;

/**
 * Whether a model answers right: whether the token that it thinks most likely is the right one at every place of the
 * answer, which is so exactly when it would generate all of the answer greedily.
 *
 * <p>Questions that begin alike are read together: their common beginning once, from where each goes on with a copy of
 * the state; each by itself where a model must see whole texts.
 */
final class GreedyAnswers {
    private final LanguageModel model;
    private final Tokenizer tokenizer;

    GreedyAnswers(Subject subject) {
        this.model = subject.model();
        this.tokenizer = subject.tokenizer();
    }

    /** A trial and how much of its context it shares with the last one. */
    private record Shared(int index, int tokens) {}

    /**
     * For each trial whether all of its answer is right; at least one trial, in any order.
     *
     * @throws org.mamba4j.UserError if the model's logits are no numbers
     */
    boolean[] areRight(List<Trial> trials) {
        int[] last = trials.getLast().context();
        List<Shared> order = new ArrayList<>();
        for (int i = 0; i < trials.size() - 1; i++) {
            order.add(new Shared(i, model.readsInParts() ? shared(trials.get(i).context(), last) : 0));
        }
        order.sort(Comparator.comparingInt(Shared::tokens));
        boolean[] right = new boolean[trials.size()];
        try (State trunk = model.newState()) {
            int read = 0;
            for (Shared next : order) {
                model.prefill(trunk, Arrays.copyOfRange(last, read, next.tokens()));
                read = next.tokens();
                try (State branch = trunk.copy()) {
                    right[next.index()] = isRight(trials.get(next.index()), branch, read);
                }
            }
            right[right.length - 1] = isRight(trials.getLast(), trunk, read);
        }
        return right;
    }

    /** How many tokens both begin with, but not all of either: the last one's logits are wanted. */
    private static int shared(int[] a, int[] b) {
        int most = Math.min(a.length, b.length) - 1;
        int mismatch = Arrays.mismatch(a, 0, most, b, 0, most);
        return mismatch < 0 ? most : mismatch;
    }

    /** @param read tokens of the context that {@code state} has seen */
    private boolean isRight(Trial trial, State state, int read) {
        int[] context = trial.context();
        int[] answer = trial.answer();
        int[] tokens = Arrays.copyOfRange(context, read, context.length + answer.length - 1);
        System.arraycopy(answer, 0, tokens, context.length - read, answer.length - 1);
        int first = context.length - read - 1;
        int[] right = new int[1];
        model.score(
                state,
                tokens,
                first,
                (position, logits) -> right[0] += greatest(logits) == answer[position - first] ? 1 : 0);
        return right[0] == answer.length;
    }

    /** The likeliest token; rows of the head that stand for no token are never chosen. */
    private int greatest(float[] logits) {
        Logits.greatest(logits); // of NaN nothing is greater, so a damaged model would only seem to forget
        int best = 0;
        for (int i = 1; i < Math.min(logits.length, tokenizer.vocabSize()); i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }
}
