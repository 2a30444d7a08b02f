package org.mamba4j.inference;

import java.util.function.Consumer;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizer;

/**
 * Continues text with a model, token by token, and hands the text over as it comes.
 *
 * <p>The state is the caller's: a new one starts afresh, one that has read a document or an earlier turn continues from
 * there. Afterwards it has read the prompt and all generated tokens, so that the next call continues the text.
 *
 * <p>An embedding may have more rows than the tokenizer has tokens (padding to a round number); those rows stand for no
 * text and are never chosen.
 */
public final class Generator {
    private final LanguageModel model;
    private final Tokenizer tokenizer;

    /**
     * @param model stays the caller's to close
     * @param tokenizer the one that the model was trained with
     * @throws UserError if the tokenizer has ids that the model has no embedding for
     */
    public Generator(LanguageModel model, Tokenizer tokenizer) {
        Requests.checkTokenizer(model, tokenizer);
        this.model = model;
        this.tokenizer = tokenizer;
    }

    /**
     * Reads {@code prompt} and continues it.
     *
     * @param state what the model has read before; afterwards it has read the prompt and all generated tokens as well
     * @param prompt may be empty if the state has read something
     * @param options how to continue
     * @param sink given each piece of text as soon as it is certain; never an empty one. What it throws ends the
     *     generation and reaches the caller
     * @return the whole continuation
     * @throws UserError if there is nothing to continue, or the model's logits are not numbers
     */
    public Generation generate(State state, String prompt, GenerationOptions options, Consumer<String> sink) {
        Continuation continuation = start(state, prompt, options);
        while (!continuation.isDone()) {
            continuation.advance(sink);
        }
        return continuation.result();
    }

    /**
     * Reads {@code prompt}; the caller then takes the continuation token by token, and may end it anywhere.
     *
     * @throws UserError if there is nothing to continue
     */
    public Continuation start(State state, String prompt, GenerationOptions options) {
        return Continuation.start(model, tokenizer, state, tokenizer.encode(prompt), options);
    }
}
