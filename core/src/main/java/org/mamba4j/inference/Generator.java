package org.mamba4j.inference;

import java.util.Arrays;
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
        if (tokenizer.vocabSize() > model.vocabSize()) {
            throw new UserError("the tokenizer has " + tokenizer.vocabSize() + " tokens but the model's vocabulary is "
                    + model.vocabSize() + ": they do not belong together");
        }
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
        int[] promptTokens = tokenizer.encode(prompt);
        if (promptTokens.length == 0 && state.tokensSeen() == 0) {
            throw new UserError("the prompt is empty: the model needs at least one token to continue");
        }
        Sampler sampler = new Sampler(options.sampling());
        for (int token : promptTokens) {
            sampler.observe(token);
        }
        long start = System.nanoTime();
        model.prefill(state, promptTokens);
        long read = System.nanoTime();

        StreamedText text = new StreamedText(options.stop(), sink);
        Generation.Finish finish = Generation.Finish.LENGTH;
        int count = 0;
        while (count < options.maxNewTokens()) {
            int token = sampler.sample(withoutPadding(model.logits(state)));
            if (options.endTokens().contains(token)) {
                finish = Generation.Finish.END_TOKEN;
                break;
            }
            sampler.observe(token);
            count++;
            // Text first: the reader has it while the step is computed.
            boolean stopped = text.add(tokenizer.bytes(token));
            model.step(state, token);
            if (stopped) {
                finish = Generation.Finish.STOP_TEXT;
                break;
            }
        }
        text.finish();
        long end = System.nanoTime();
        return new Generation(
                text.text(), promptTokens.length, count, finish, (read - start) * 1e-9, (end - read) * 1e-9);
    }

    private float[] withoutPadding(float[] logits) {
        return logits.length == tokenizer.vocabSize() ? logits : Arrays.copyOf(logits, tokenizer.vocabSize());
    }
}
