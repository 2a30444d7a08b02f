package org.mamba4j.inference;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizer;

/** What every engine does alike with what a {@link LanguageModel} is asked: refusing it, in the same words. */
public final class Requests {
    private Requests() {}

    /** @throws UserError if one of {@code tokens} is outside [0, {@code vocabSize}), naming it and its place */
    public static void checkTokens(int[] tokens, int vocabSize) {
        checkTokens("", tokens, vocabSize);
    }

    /**
     * The same.
     *
     * @param where begins the message
     */
    public static void checkTokens(String where, int[] tokens, int vocabSize) {
        for (int i = 0; i < tokens.length; i++) {
            checkToken(where, tokens[i], i, vocabSize);
        }
    }

    /** The same for a token alone; makes no object where it is right. */
    public static void checkToken(int token, int vocabSize) {
        checkToken("", token, 0, vocabSize);
    }

    private static void checkToken(String where, int token, int index, int vocabSize) {
        if (token < 0 || token >= vocabSize) {
            throw new UserError(where + "token " + token + " at index " + index
                    + " is outside the model's vocabulary of " + vocabSize
                    + ": was the text encoded with this model's tokenizer?");
        }
    }

    /** @throws UserError if the tokenizer has ids that the model has no embedding for */
    static void checkTokenizer(LanguageModel model, Tokenizer tokenizer) {
        if (tokenizer.vocabSize() > model.vocabSize()) {
            throw new UserError("the tokenizer has " + tokenizer.vocabSize() + " tokens but the model's vocabulary is "
                    + model.vocabSize() + ": they do not belong together");
        }
    }

    /**
     * @throws IllegalArgumentException if there are not as many states as tokens, or one state is there twice
     * @throws UserError if a token is outside the vocabulary
     */
    public static void checkBatch(List<State> states, int[] tokens, int vocabSize) {
        if (states.size() != tokens.length) {
            throw new IllegalArgumentException(states.size() + " states for " + tokens.length + " tokens");
        }
        Set<State> different = Collections.newSetFromMap(new IdentityHashMap<>());
        different.addAll(states);
        if (different.size() < states.size()) {
            throw new IllegalArgumentException("a state is there twice: each reads one token at a time");
        }
        checkTokens(tokens, vocabSize);
    }

    /** @throws UserError if a prompt has no token, or one outside [0, {@code vocabSize}) */
    public static void checkPrompts(List<int[]> prompts, int vocabSize) {
        for (int i = 0; i < prompts.size(); i++) {
            if (prompts.get(i).length == 0) {
                throw new UserError("prompt " + i + " of " + prompts.size()
                        + " is empty: the model needs at least one token to continue");
            }
            checkTokens("prompt " + i + ": ", prompts.get(i), vocabSize);
        }
    }

    /** @throws IllegalArgumentException if {@code from} is no index into {@code tokens}, nor their end */
    public static void checkFrom(int from, int[] tokens) {
        if (from < 0 || from > tokens.length) {
            throw new IllegalArgumentException("from = " + from + " of " + tokens.length + " tokens");
        }
    }

    /** @throws IllegalStateException if {@code state} has seen no token, so that there are no logits */
    public static void checkHasRead(State state) {
        if (state.tokensSeen() == 0) {
            throw new IllegalStateException("a state that has seen no token has no logits: call prefill or step first");
        }
    }

    /** To be thrown for a state of another model. */
    public static IllegalArgumentException foreignState() {
        return new IllegalArgumentException("this state was made by another model");
    }

    /**
     * Fills a new state from somewhere, or closes it.
     *
     * @param load throws what is wrong
     * @return {@code state}
     */
    public static <S extends State> S loaded(S state, Consumer<S> load) {
        boolean read = false;
        try {
            load.accept(state);
            read = true;
            return state;
        } finally {
            if (!read) {
                state.close();
            }
        }
    }
}
