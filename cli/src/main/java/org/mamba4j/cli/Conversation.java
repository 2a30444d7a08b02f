package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.mamba4j.inference.Continuation;
import org.mamba4j.inference.Generation;
import org.mamba4j.inference.GenerationOptions;
import org.mamba4j.inference.Generator;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.text.Tokenizer;

/**
 * One text that a person and a model write in turns. The model reads every word once and keeps what it remembers in a state
 * of constant size, so a conversation never becomes too long for it, nor slower.
 */
final class Conversation implements AutoCloseable {
    private final LanguageModel model;
    private final Tokenizer tokenizer;
    private final Generator generator;
    private final Format format;
    private final GenerationOptions options;
    private State state;
    private long turns;

    /**
     * What a message stands between when the model reads it.
     *
     * @param before each message
     * @param after each message
     */
    record Format(String before, String after) {}

    /**
     * @param model stays the caller's to close
     * @param state to begin with; from now on closed with this
     */
    Conversation(LanguageModel model, State state, Format format, GenerationOptions options) {
        this.model = model;
        this.tokenizer = model.tokenizer();
        this.generator = new Generator(model, tokenizer);
        this.format = format;
        this.options = options.withEndTokenOf(model.config());
        this.state = state;
    }

    State state() {
        return state;
    }

    void reset() {
        state.reset();
        turns = 0;
    }

    void load(Path file) {
        State loaded = model.loadState(file);
        state.close();
        state = loaded;
    }

    /**
     * Lets the model read a message and answer it.
     *
     * @param message none lets it go on with what it said
     * @param isEnough asked before every token
     */
    Generation answer(String message, Consumer<String> sink, BooleanSupplier isEnough) {
        String prompt = message.isEmpty() ? "" : format.before() + message + format.after();
        GenerationOptions own = options.withSampling(
                options.sampling().withSeed(options.sampling().seed() + turns++));
        if (own.stop().isEmpty()) {
            return answer(state, prompt, own, sink, isEnough);
        }
        State before = state.copy();
        boolean kept = false;
        try {
            Generation answer = answer(state, prompt, own, sink, isEnough);
            if (answer.finish() == Generation.Finish.STOP_TEXT) {
                // The model has read its stop text, which is no part of the conversation.
                model.prefill(before, tokenizer.encode(prompt));
                model.prefill(before, tokenizer.encode(answer.text()));
                state.close();
                state = before;
                kept = true;
            }
            return answer;
        } finally {
            if (!kept) {
                before.close();
            }
        }
    }

    private Generation answer(
            State on, String prompt, GenerationOptions own, Consumer<String> sink, BooleanSupplier isEnough) {
        Continuation continuation = generator.start(on, prompt, own);
        while (!continuation.isDone()) {
            if (isEnough.getAsBoolean()) {
                continuation.end(sink);
            } else {
                continuation.advance(sink);
            }
        }
        return continuation.result();
    }

    @Override
    public void close() {
        state.close();
    }
}
