package org.mamba4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.Scorer;
import org.mamba4j.inference.State;
import org.mamba4j.inference.TextScore;
import org.mamba4j.text.Tokenizer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "score",
        description = {
            "Measure how well a model predicts texts: bits per byte, perplexity.",
            "",
            "Reads texts of any length in constant memory, each from the beginning to the end through one state. The first token, which"
                    + " nothing predicts, is not counted. Log probabilities are natural logarithms."
        },
        footer = {
            "",
            "Examples:  ./mamba4j score --model runs/demo README.md",
            "           cat *.log | ./mamba4j score --model runs/demo --per-line -"
        })
final class ScoreCommand implements Runnable {
    @Mixin
    private final ModelOptions model = new ModelOptions();

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "Texts; - is standard input.")
    private List<String> files = new ArrayList<>();

    @ArgGroup
    private Detail detail = new Detail();

    /** What is printed besides the sums, which then go to standard error. */
    static final class Detail {
        @Option(names = "--per-token", description = "Print each token's log probability (default: false).")
        private boolean perToken;

        @Option(names = "--per-line", description = "Print the figures of each line of text (default: false).")
        private boolean perLine;
    }

    @Option(names = "--json", description = "Print one JSON object per line (default: false).")
    private boolean json;

    @Option(
            names = "--state-in",
            paramLabel = "FILE",
            description = "Let the model have read this saved state before each text (default: nothing).")
    private @Nullable Path stateIn;

    @Override
    public void run() {
        files.forEach(TextFiles::check);
        Tokenizer tokenizer = model.tokenizer();
        List<TextScore> scores = new ArrayList<>();
        try (LanguageModel opened = model.open()) {
            Scorer scorer = new Scorer(opened, tokenizer);
            ScoreOutput output = ScoreOutput.of(json, detail.perToken, detail.perLine, files.size() > 1);
            for (String file : files) {
                try (State state = stateIn == null ? opened.newState() : opened.loadState(stateIn)) {
                    scores.add(score(scorer, state, file, output));
                }
            }
            output.end(files, scores);
        }
    }

    private static TextScore score(Scorer scorer, State state, String file, ScoreOutput output) {
        try (InputStream in = TextFiles.open(file);
                StatusLine status = new StatusLine("score " + file)) {
            ScoreOutput.Text text = output.begin(file);
            Progress progress = new Progress(size(file), status, text.printsMuch());
            TextScore score = scorer.score(state, in, (token, bytes, logProbability) -> {
                text.accept(token, bytes, logProbability);
                progress.advance(bytes.length);
            });
            if (score.tokens() == 0) {
                throw new UserError(TextFiles.name(file) + " is empty: there is nothing to score");
            }
            text.end(score);
            if (score.uncertainCuts() > 0) {
                System.err.println(Terminal.STDERR.dim(String.format(
                        Locale.ROOT,
                        "%s: cut %,d times within very long lines, where some tokens may be others than in the whole",
                        file,
                        score.uncertainCuts())));
            }
            return score;
        } catch (IOException e) {
            throw TextFiles.unreadable(file, e);
        }
    }

    /** Bytes of the file, or 0 where that cannot be known. */
    private static long size(String file) {
        try {
            return TextFiles.isStandardInput(file) ? 0 : Files.size(Path.of(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** How far a text has been read, where somebody looks on. */
    private static final class Progress {
        private static final int STRIDE = 1 << 10;

        private final long total;
        private final StatusLine status;
        private final boolean hidden;
        private long bytes;
        private long shown;

        /** @param hidden so as not to write into what goes to the same terminal */
        Progress(long total, StatusLine status, boolean hidden) {
            this.total = total;
            this.status = status;
            this.hidden = hidden && Terminal.STDOUT.isInteractive();
        }

        void advance(int more) {
            bytes += more;
            if (hidden || bytes - shown < STRIDE) {
                return;
            }
            shown = bytes;
            if (total > 0) {
                status.show(Math.min(1.0, (double) bytes / total));
            } else {
                status.show(String.format(Locale.ROOT, "%,d bytes", bytes));
            }
        }
    }
}
