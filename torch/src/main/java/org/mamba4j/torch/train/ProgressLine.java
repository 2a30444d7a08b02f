package org.mamba4j.torch.train;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.LongSupplier;

/**
 * Shows a run on the terminal as one line that rewrites itself; where the output is no terminal, as a plain line now
 * and then, so that a log file stays readable.
 */
public final class ProgressLine implements TrainListener {
    private static final String ERASE = "\r\u001b[K";

    /**
     * A line that wraps cannot be rewritten, so the terminal is told to cut it at its width instead. What comes after the
     * width all lands on the last column, so the text ends with a blank; what matters most comes first.
     */
    private static final String CLIP = "\u001b[?7l";

    private static final String WRAP = "\u001b[?7h";
    private static final long REWRITE_NANOS = 100_000_000L;
    private static final long PLAIN_NANOS = 10_000_000_000L;

    private final PrintStream out;
    private final boolean terminal;
    private final LongSupplier nanos;
    private String unit = "token";
    private double validLoss = Double.NaN;
    private long shownAt;
    private boolean shown;

    /**
     * @param out where to print
     * @param terminal whether {@code out} understands a carriage return and the erase-line sequence
     */
    public ProgressLine(PrintStream out, boolean terminal) {
        this(out, terminal, System::nanoTime);
    }

    ProgressLine(PrintStream out, boolean terminal, LongSupplier nanos) {
        this.out = out;
        this.terminal = terminal;
        this.nanos = nanos;
    }

    @Override
    public void started(RunInfo run) {
        TrainConfig config = run.config();
        unit = config.data().tokenizer().equals("bytes") ? "byte" : "token";
        line(String.format(
                Locale.ROOT, "run %s: seed %d, %,d parameters", run.runFolder(), config.seed(), run.parameters()));
        line(String.format(
                Locale.ROOT,
                "%,d + %,d %ss to train and validate on, %,d steps of %,d",
                run.trainTokens(),
                run.validTokens(),
                unit,
                config.schedule().steps(),
                config.tokensPerStep()));
        if (run.firstStep() > 0) {
            line(String.format(Locale.ROOT, "resumed after step %,d", run.firstStep()));
        }
    }

    @Override
    public void stepped(Progress p) {
        long now = nanos.getAsLong();
        boolean last = p.step() == p.steps();
        if (shownAt != 0 && !last && now - shownAt < (terminal ? REWRITE_NANOS : PLAIN_NANOS)) {
            return;
        }
        shownAt = now;
        String text = text(p);
        if (terminal) {
            out.print(ERASE + CLIP + text + " " + WRAP);
            out.flush();
            shown = true;
        } else {
            out.println(text);
        }
    }

    private String text(Progress p) {
        StringBuilder text = new StringBuilder();
        text.append(String.format(
                Locale.ROOT,
                "step %,d/%,d  %s left  loss %.3f",
                p.step(),
                p.steps(),
                duration(p.secondsLeft()),
                bits(p.loss())));
        if (Double.isFinite(validLoss)) {
            text.append(String.format(Locale.ROOT, " (valid %.3f)", bits(validLoss)));
        }
        text.append(String.format(
                Locale.ROOT, " bits/%s  %,.0f tokens/s  lr %.2g", unit, p.tokensPerSecond(), p.learningRate()));
        return text.toString();
    }

    private static double bits(double nats) {
        return nats / Math.log(2);
    }

    /** Seconds as {@code m:ss} or {@code h:mm:ss}. */
    static String duration(double seconds) {
        if (!Double.isFinite(seconds)) {
            return "?";
        }
        long s = Math.max(0, Math.round(seconds));
        return s < 3600
                ? String.format(Locale.ROOT, "%d:%02d", s / 60, s % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    }

    @Override
    public void measured(Metrics metrics) {
        double loss = metrics.get(Metrics.VALID_LOSS);
        if (Double.isFinite(loss)) {
            validLoss = loss;
            String perToken = unit.equals("byte")
                    ? ""
                    : String.format(Locale.ROOT, "%.4f bits/token, ", metrics.get(Metrics.VALID_BITS_PER_TOKEN));
            line(String.format(
                    Locale.ROOT,
                    "step %,d  validation: %.4f bits/byte, %sperplexity %.3f",
                    metrics.step(),
                    metrics.get(Metrics.VALID_BITS_PER_BYTE),
                    perToken,
                    metrics.get(Metrics.VALID_PERPLEXITY)));
        }
        double answers = metrics.get(Metrics.VALID_ANSWERS);
        if (Double.isFinite(answers)) {
            line(String.format(
                    Locale.ROOT,
                    "step %,d  answers: %.1f %% right, %.1f %% of their tokens",
                    metrics.step(),
                    100 * answers,
                    100 * metrics.get(Metrics.VALID_ANSWER_TOKENS)));
        }
    }

    @Override
    public void saved(int step, Path checkpoint) {
        if (!terminal) {
            line("saved " + checkpoint);
        }
    }

    @Override
    public void note(String line) {
        line(line);
    }

    @Override
    public void finished(TrainResult result) {
        line(String.format(
                Locale.ROOT,
                "%s after step %,d and %s of training, %,.0f tokens/s: %s",
                result.finished() ? "finished" : "stopped",
                result.step(),
                duration(result.seconds()),
                result.tokens() / Math.max(1e-9, result.seconds()),
                result.lastCheckpoint()));
    }

    /** A line that stays, above the one that rewrites itself. */
    private void line(String text) {
        out.println(shown ? ERASE + text : text);
        out.flush();
        shown = false;
    }
}
