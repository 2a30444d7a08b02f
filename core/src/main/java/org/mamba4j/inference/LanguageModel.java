package org.mamba4j.inference;

import java.nio.file.Path;
import org.mamba4j.inference.engine.JavaLanguageModel;
import org.mamba4j.model.ModelConfig;

/**
 * A trained model that reads tokens one after another and remembers them in a {@link State} of constant size.
 *
 * <p>The model is immutable and may be used from many threads at once, each with states of its own; a state belongs to
 * one thread at a time. Tasks, evaluation and generation are written on this interface, so they run on every engine.
 *
 * <p>Tokens outside [0, {@link #vocabSize()}) are a {@link org.mamba4j.UserError} that names the token and its place;
 * the state is then unchanged.
 */
public interface LanguageModel extends AutoCloseable {
    /**
     * Opens a model with the engine that needs nothing but the JVM.
     *
     * @param folder a checkpoint as this project's trainer or Hugging Face writes it; the weights are used where they are,
     *     so the files must stay as they are until the model is closed
     * @throws org.mamba4j.UserError if the folder does not hold a sound checkpoint
     */
    static LanguageModel open(Path folder) {
        return JavaLanguageModel.open(folder);
    }

    /** The configuration that the weights were made for. */
    ModelConfig config();

    /** Width of the logits: the embedding's rows, padding included. */
    default int vocabSize() {
        return config().vocabSize();
    }

    /** A state that has seen nothing. The caller closes it. */
    State newState();

    /** Reads {@code tokens} (L), any L from 0, from wherever {@code state} stands. Any split gives the same result. */
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
    void score(State state, int[] tokens, int from, LogitsConsumer consumer);

    /**
     * Reads a state that {@link State#save} wrote, on this engine or another.
     *
     * @throws org.mamba4j.UserError if the file is damaged, of a newer version or of another model
     */
    State loadState(Path file);

    @Override
    void close();

    /** Takes the logits of one position. */
    @FunctionalInterface
    interface LogitsConsumer {
        /**
         * @param position index into the tokens given to {@link LanguageModel#score}
         * @param logits (V), valid during the call only
         */
        void accept(int position, float[] logits);
    }
}
