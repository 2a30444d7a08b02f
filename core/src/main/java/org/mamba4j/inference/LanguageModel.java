package org.mamba4j.inference;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.mamba4j.UserError;
import org.mamba4j.inference.engine.JavaLanguageModel;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.text.Tokenizer;

/**
 * A trained model that reads tokens one after another and remembers them in a {@link State}, which of a Mamba or MemMamba never grows.
 *
 * <p>The model is immutable and may be used from many threads at once, each with states of its own; a state belongs to
 * one thread at a time. Tasks, evaluation and generation are written on this interface, so they run on every engine.
 *
 * <p>Tokens outside [0, {@link #vocabSize()}) are a {@link UserError} that names the token and its place;
 * the state is then unchanged.
 */
public interface LanguageModel extends AutoCloseable {
    /**
     * Opens a model with the engine that needs nothing but the JVM.
     *
     * @param checkpoint a Mamba or MemMamba: a folder as this project's trainer or Hugging Face writes it, one of those that
     *     a run leaves, or a GGUF file. The weights are used where they are, so the files must stay as they are
     *     until the model is closed
     * @throws UserError if there is no sound checkpoint, or it is of a family that this engine does not run
     */
    static LanguageModel open(Path checkpoint) {
        return JavaLanguageModel.open(checkpoint);
    }

    /** The configuration that the weights were made for. */
    ModelConfig config();

    /** Width of the logits: the embedding's rows, padding included. */
    default int vocabSize() {
        return config().vocabSize();
    }

    /**
     * The tokenizer that the model was trained with, from its checkpoint.
     *
     * @throws UserError if the checkpoint has none, or it cannot be read
     */
    default Tokenizer tokenizer() {
        throw new UserError(
                "this model came without a tokenizer: take the one it was trained with, by Tokenizers.load");
    }

    /** A state that has seen nothing. The caller closes it. */
    State newState();

    /**
     * Whether a text may be read in any number of calls, with the same result: so it is but for models that decide what to
     * keep of a text once they have seen all of it ({@code decimamba}). Of these, what is given to one call is a text, and
     * single tokens are read as any Mamba reads them.
     */
    default boolean readsInParts() {
        return true;
    }

    /**
     * Reads {@code tokens} (L), any L from 0, from wherever {@code state} stands. Any split gives the same result, if the
     * model {@link #readsInParts}.
     */
    void prefill(State state, int[] tokens);

    /** Reads one token: the same as {@code prefill} of one, as fast as the engine can. */
    void step(State state, int token);

    /**
     * Logits of the token that follows all those read so far.
     *
     * @return a fresh array (V)
     * @throws IllegalStateException if the state has seen no token
     */
    float[] logits(State state);

    /**
     * The same logits in an array of the caller's: nothing needs to be allocated for a token.
     *
     * @param target at least V long; the first V are written
     * @throws IllegalStateException if the state has seen no token
     */
    default void logits(State state, float[] target) {
        System.arraycopy(logits(state), 0, target, 0, vocabSize());
    }

    /**
     * Reads {@code tokens} like {@link #prefill} and hands over the logits after each one from {@code from} on, in
     * order; used to score text without holding (L, V) floats.
     *
     * @param from index into {@code tokens} of the first position whose logits are wanted; those before it cost no head
     * @param consumer called once per position with the logits (V) that predict the token after it
     */
    void score(State state, int[] tokens, int from, RowConsumer consumer);

    /**
     * Reads {@code tokens} like {@link #prefill} and hands over what the model makes of each one from {@code from} on and
     * all before it: the output of the last norm, of which the head makes the logits.
     *
     * @param from index into {@code tokens} of the first position that is wanted
     * @param consumer called once per position, in order, with (dModel)
     */
    void hidden(State state, int[] tokens, int from, RowConsumer consumer);

    /**
     * Reads {@code tokens} like {@link #prefill} and says how likely each was: log p(token | all that was read before
     * it), natural logarithm.
     *
     * @return as many as tokens. Before the first token of a new state there is nothing to predict it from: NaN
     * @throws UserError if the model's logits are not numbers, or hold one of the tokens for impossible
     */
    default double[] logProbabilities(State state, int[] tokens) {
        double[] all = new double[tokens.length];
        if (tokens.length > 0) {
            Requests.checkTokens(tokens, vocabSize());
            all[0] = state.tokensSeen() == 0 ? Double.NaN : Logits.logProbability(logits(state), tokens[0]);
            score(state, tokens, 0, (position, logits) -> {
                if (position + 1 < tokens.length) {
                    all[position + 1] = Logits.logProbability(logits, tokens[position + 1]);
                }
            });
        }
        return all;
    }

    /**
     * Reads {@code tokens} like {@link #prefill} and makes one vector of them, whose direction tells similar texts from
     * others.
     *
     * @return (dModel)
     * @throws UserError if there are no tokens
     */
    default float[] embed(State state, int[] tokens, Pooling pooling) {
        return pooling.embed(this, state, tokens);
    }

    /**
     * Continues what {@code state} has read, piece by piece as the stream is read: text is generated when it is asked for,
     * and the state has read what was taken. A piece is never empty nor ends within a character.
     *
     * @param options how; the model's own end token ends the text too
     * @throws UserError if the state has read nothing, or the model came without a tokenizer
     * @see Generator for a prompt, and for why it ended
     */
    default Stream<String> generate(State state, GenerationOptions options) {
        return new Generator(this, tokenizer())
                .start(state, "", options.withEndTokenOf(config()))
                .pieces();
    }

    /**
     * Reads one token in each of several states: the same as {@link #step} of one after the other, but the weights are read
     * once for all where the engine can.
     *
     * @param states different ones
     * @param tokens as many
     */
    default void step(List<State> states, int[] tokens) {
        Requests.checkBatch(states, tokens, vocabSize());
        for (int i = 0; i < tokens.length; i++) {
            step(states.get(i), tokens[i]);
        }
    }

    /**
     * {@link #logits(State)} of each of several states.
     *
     * @return a fresh array (V) for each
     */
    default List<float[]> logits(List<State> states) {
        List<float[]> all = new ArrayList<>();
        states.forEach(state -> all.add(logits(state)));
        return all;
    }

    /**
     * Continues several prompts side by side, each as if it were alone, which takes less time than one after the other.
     *
     * @param prompts tokens, at least one in each; of any lengths
     * @param options {@code seed} is the first prompt's, the next ones have the numbers after it
     * @return the tokens after each prompt: without an end token, with the one that completed a stop text
     * @throws UserError if a prompt is empty or has a token outside the vocabulary
     */
    default List<int[]> generate(List<int[]> prompts, GenerationOptions options) {
        return PromptBatch.generate(this, prompts, options);
    }

    /**
     * Reads a state that {@link State#save} wrote, on this engine or another.
     *
     * @throws UserError if the file is damaged, of a newer version or of another model
     */
    State loadState(Path file);

    @Override
    void close();

    /** Takes what there is of one position. */
    @FunctionalInterface
    interface RowConsumer {
        /**
         * @param position index into the tokens that were given
         * @param row logits (V) or what else was asked for, valid during the call only
         */
        void accept(int position, float[] row);
    }
}
