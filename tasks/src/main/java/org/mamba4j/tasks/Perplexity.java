package org.mamba4j.tasks;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import org.mamba4j.UserError;
import org.mamba4j.inference.Logits;
import org.mamba4j.inference.State;

/**
 * Perplexity by context length: does a model predict better when it has read more?
 *
 * <p>Every window is as long as the greatest context length. At each length the model reads the window's <em>end</em>
 * of that length from a new state, and the loss of the window's last {@code scored} tokens counts. So the same tokens
 * are scored at all lengths, and only what was read before them differs; the figures of different lengths compare,
 * which those of windows of different lengths would not.
 *
 * <p>The loss of a window is the mean over its scored tokens; the figure is the mean over windows, and the interval
 * is Student's at 95 % over windows, as tokens within a window are not independent. Intervals of two lengths, or of two
 * models, overlap more than the difference between them is uncertain: {@link PerplexityResult.AtLength#over} compares
 * window by window. Bits per byte are all bits over all bytes.
 */
public final class Perplexity {
    private final Subject subject;

    /** @param subject whose tokenizer made the windows, and tells how many bytes a token stands for */
    public Perplexity(Subject subject) {
        this.subject = subject;
    }

    /**
     * Measures at every length.
     *
     * @param lengths tokens read, the scored ones included; in the order of the result
     * @param scored tokens at the end of each window whose loss counts, at least 1
     * @param windows each at least as long as the greatest length; their last tokens are used
     * @param progress told the fraction of the work done, in (0, 1], after every window and length
     * @throws UserError if a length leaves no context for the first scored token, or there is no window; if a logit is NaN or +∞, or a
     *     scored token is impossible, as with damaged weights
     */
    public PerplexityResult measure(List<Integer> lengths, int scored, List<Window> windows, DoubleConsumer progress) {
        check(lengths, scored, windows);
        Progress done = new Progress(
                windows.size()
                        * lengths.stream().mapToDouble(Integer::doubleValue).sum(),
                progress);
        return new PerplexityResult(
                windows.size(),
                (int) windows.stream().map(Window::document).distinct().count(),
                scored,
                lengths.stream()
                        .map(length -> measure(length, scored, windows, done))
                        .toList());
    }

    private PerplexityResult.AtLength measure(int length, int scored, List<Window> windows, Progress done) {
        double[] loss = new double[windows.size()];
        double[] bits = new double[windows.size()];
        double[] bytes = new double[windows.size()];
        long start = System.nanoTime();
        subject.each(loss.length, i -> {
            int[] tokens = windows.get(i).end(length);
            loss[i] = lossOfEnd(tokens, scored);
            bits[i] = loss[i] / Math.log(2) * scored;
            bytes[i] = bytesOfEnd(tokens, scored);
            done.add(length);
        });
        double seconds = (System.nanoTime() - start) * 1e-9;
        return new PerplexityResult.AtLength(
                length,
                Estimate.ofMean(loss),
                Estimate.ofMean(loss).map(Math::exp),
                Estimate.ofRatio(bits, bytes),
                (long) length * loss.length / seconds,
                Arrays.stream(loss).boxed().toList());
    }

    private static void check(List<Integer> lengths, int scored, List<Window> windows) {
        if (scored < 1) {
            throw new UserError("the number of scored tokens is " + scored + " but must be at least 1");
        }
        if (lengths.isEmpty() || windows.isEmpty()) {
            throw new UserError("perplexity needs at least one context length and one window");
        }
        for (int length : lengths) {
            if (length <= scored) {
                throw new UserError("a context length is " + length + " but must be at least " + (scored + 1)
                        + ": the last " + scored + " tokens are scored and the first of them needs one before it");
            }
        }
    }

    /** Mean negative log likelihood of the last {@code scored} tokens, nats per token. */
    private double lossOfEnd(int[] tokens, int scored) {
        int[] read = Arrays.copyOf(tokens, tokens.length - 1);
        double[] sum = new double[1];
        try (State state = subject.model().newState()) {
            subject.model()
                    .score(
                            state,
                            read,
                            read.length - scored,
                            (position, logits) -> sum[0] -= Logits.logProbability(logits, tokens[position + 1]));
        }
        return sum[0] / scored;
    }

    private long bytesOfEnd(int[] tokens, int scored) {
        long bytes = 0;
        for (int i = tokens.length - scored; i < tokens.length; i++) {
            bytes += subject.tokenizer().bytes(tokens[i]).length;
        }
        return bytes;
    }
}
