package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.UserError;

/**
 * What was measured after a step.
 *
 * @param step steps done, counted from 1
 * @param timeMillis wall clock, milliseconds since 1970
 * @param values by name (the constants of this class), in the order in which they are written
 */
public record Metrics(int step, long timeMillis, Map<String, Double> values) {
    /** Mean training loss since the previous line, nats per token. */
    public static final String TRAIN_LOSS = "train_loss";

    /** Global norm of the gradient before clipping. */
    public static final String GRADIENT_NORM = "gradient_norm";

    /** Learning rate of the step. */
    public static final String LEARNING_RATE = "learning_rate";

    /** Tokens trained on so far. */
    public static final String TOKENS = "tokens";

    /** Tokens per second of training time since the previous line, evaluation and saving not counted. */
    public static final String TOKENS_PER_SECOND = "tokens_per_second";

    /** Training time so far, over all sessions of the run, in seconds. */
    public static final String SECONDS = "seconds";

    /** Mean loss on the validation windows, nats per token. */
    public static final String VALID_LOSS = "valid_loss";

    /** The same in bits. */
    public static final String VALID_BITS_PER_TOKEN = "valid_bits_per_token";

    /** The same, spread over the bytes that the tokens stand for. */
    public static final String VALID_BITS_PER_BYTE = "valid_bits_per_byte";

    /** exp(valid_loss). */
    public static final String VALID_PERPLEXITY = "valid_perplexity";

    /** Mean loss on the answers of a mixture's tasks, on validation text, nats per token. */
    public static final String VALID_ANSWER_LOSS = "valid_answer_loss";

    /** Share of their tokens that are the likeliest ones. */
    public static final String VALID_ANSWER_TOKENS = "valid_answer_tokens";

    /** Share of the answers of which all tokens are. */
    public static final String VALID_ANSWERS = "valid_answers";

    /** Of a layer, as {@code layers.I.note_rate}: share of the tokens that were noted in the step. */
    public static final String NOTE_RATE = "note_rate";

    /** Of a layer: mean gate of its tokens, σ of their scores. */
    public static final String MEAN_GATE = "mean_gate";

    /** Of a layer: mean score of its tokens. */
    public static final String MEAN_SCORE = "mean_score";

    /** Of a layer: share of its attention that went to its own notes, not to nothing. */
    public static final String ATTENTION_ON_NOTES = "attention_on_notes";

    /** Of a layer: share of its attention that went to notes of layers below. */
    public static final String ATTENTION_BELOW = "attention_below";

    /** Copies {@code values}. */
    public Metrics {
        values = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }

    /**
     * All that was measured in a run so far, in order.
     *
     * @throws UserError if it cannot be read
     */
    public static List<Metrics> of(Path runFolder) {
        Path file = runFolder.resolve(MetricsLog.FILE);
        try {
            return MetricsLog.read(file);
        } catch (IOException e) {
            throw new UserError("cannot read " + file + " (" + RunFolder.reason(e) + ")", e);
        }
    }

    /** The value of {@code name}, NaN where it was not measured. */
    public double get(String name) {
        Double value = values.get(name);
        return value == null ? Double.NaN : value;
    }
}
