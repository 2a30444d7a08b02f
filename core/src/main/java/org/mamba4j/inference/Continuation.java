package org.mamba4j.inference;

import java.util.Arrays;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizer;

/**
 * A text that a model is continuing, one token at a time and only as far as somebody wants it. Between two calls of
 * {@link #advance} the state has read exactly the tokens generated so far, so it can be saved, or continued otherwise.
 * For one thread.
 */
public final class Continuation {
    private final LanguageModel model;
    private final Tokenizer tokenizer;
    private final State state;
    private final GenerationOptions options;
    private final Sampler sampler;
    private final StreamedText text;
    private final int promptTokens;
    private final double promptSeconds;
    private double newSeconds;
    private int count;
    private Generation.Finish finish = Generation.Finish.ENDED;
    private boolean done;

    private Continuation(
            LanguageModel model, Tokenizer tokenizer, State state, int[] prompt, GenerationOptions options) {
        this.model = model;
        this.tokenizer = tokenizer;
        this.state = state;
        this.options = options;
        sampler = new Sampler(options.sampling());
        text = new StreamedText(options.stop());
        promptTokens = prompt.length;
        for (int token : prompt) {
            sampler.observe(token);
        }
        long start = System.nanoTime();
        model.prefill(state, prompt);
        promptSeconds = seconds(start);
    }

    /** Reads the prompt. */
    static Continuation start(
            LanguageModel model, Tokenizer tokenizer, State state, int[] prompt, GenerationOptions options) {
        if (prompt.length == 0 && state.tokensSeen() == 0) {
            throw new UserError("the prompt is empty: the model needs at least one token to continue");
        }
        return new Continuation(model, tokenizer, state, prompt, options);
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) * 1e-9;
    }

    /** Whether there is nothing more to come. */
    public boolean isDone() {
        return done;
    }

    /**
     * Generates one more token, or finds that the text ends here; nothing if it has ended.
     *
     * @param sink given the text that is certain by now: one piece, never an empty one, or none. What it throws reaches
     *     the caller, and the state has then not read the piece's last token
     * @throws UserError if the model's logits are not numbers
     */
    public void advance(Consumer<String> sink) {
        if (done) {
            return;
        }
        long start = System.nanoTime();
        if (count == options.maxNewTokens()) {
            finish(Generation.Finish.LENGTH, sink);
        } else {
            next(sink);
        }
        newSeconds += seconds(start);
    }

    private void next(Consumer<String> sink) {
        int token = sampler.sample(withoutPadding(model.logits(state)));
        if (options.endTokens().contains(token)) {
            finish(Generation.Finish.END_TOKEN, sink);
            return;
        }
        sampler.observe(token);
        count++;
        // Text first: the reader has it while the step is computed.
        boolean stopped = text.add(tokenizer.bytes(token), sink);
        model.step(state, token);
        if (stopped) {
            finish(Generation.Finish.STOP_TEXT, sink);
        }
    }

    /** Ends it before its time: what was held back is handed over, if there is something. */
    public void end(Consumer<String> sink) {
        if (!done) {
            finish(Generation.Finish.ENDED, sink);
        }
    }

    private void finish(Generation.Finish why, Consumer<String> sink) {
        finish = why;
        done = true;
        text.finish(sink);
    }

    /** What came of it so far; its text is whole when {@link #isDone}. */
    public Generation result() {
        return new Generation(text.text(), promptTokens, count, finish, promptSeconds, newSeconds);
    }

    /** The pieces that are still to come, each generated when it is asked for. */
    Stream<String> pieces() {
        return StreamSupport.stream(new Pieces(), false);
    }

    private final class Pieces extends Spliterators.AbstractSpliterator<String> {
        private boolean handed;

        Pieces() {
            super(Long.MAX_VALUE, Spliterator.ORDERED | Spliterator.NONNULL);
        }

        @Override
        public boolean tryAdvance(Consumer<? super String> action) {
            handed = false;
            while (!done && !handed) {
                advance(piece -> {
                    handed = true;
                    action.accept(piece);
                });
            }
            return handed;
        }
    }

    private float[] withoutPadding(float[] logits) {
        return logits.length == tokenizer.vocabSize() ? logits : Arrays.copyOf(logits, tokenizer.vocabSize());
    }
}
