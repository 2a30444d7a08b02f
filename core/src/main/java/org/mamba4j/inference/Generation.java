package org.mamba4j.inference;

/**
 * What {@link Generator} made of a prompt.
 *
 * @param text the continuation, without the stop text
 * @param promptTokens number of tokens read
 * @param newTokens number of tokens generated, those of a stop text included, an end token not
 * @param finish why it ended
 * @param promptSeconds time to read the prompt
 * @param newSeconds time from the prompt's end to the last token
 */
public record Generation(
        String text, int promptTokens, int newTokens, Finish finish, double promptSeconds, double newSeconds) {
    /** Why generation ended. */
    public enum Finish {
        /** {@link GenerationOptions#maxNewTokens} was reached. */
        LENGTH,
        /** One of {@link GenerationOptions#stop} appeared. */
        STOP_TEXT,
        /** One of {@link GenerationOptions#endTokens} was chosen. */
        END_TOKEN,
        /** Whoever asked for it wanted no more: {@link Continuation#end}. */
        ENDED
    }
}
