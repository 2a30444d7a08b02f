package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.mamba4j.UserError;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.CourseWindows;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.data.Split;
import org.mamba4j.data.TokenFile;
import org.mamba4j.data.TokenView;
import org.mamba4j.data.Windows;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/** A run's text as tokens, split, and the windows that training and evaluation read. */
final class TrainingData implements AutoCloseable {
    /** The {@code data.tokenizer} that needs no file. */
    static final String BYTES = "bytes";

    /** Tells the questions of validation from those of training. */
    private static final long QUESTIONS = 0x5EEDL;

    private static final List<String> OWN_FILES = List.of(
            RunFolder.CONFIG,
            RunFolder.TOKENS,
            RunFolder.LOSS_CURVE,
            MetricsLog.FILE,
            RunFolder.CHECKPOINTS + "/step-000000001/" + TrainingRun.STATE,
            RunFolder.CHECKPOINTS + "/step-000000001/model.safetensors");

    private final Tokenizer tokenizer;
    private final TokenFile file;
    private final boolean made;
    private final Split split;
    private final Windows text;
    private final @Nullable Windows validation;

    private TrainingData(Tokenizer tokenizer, TokenFile file, TrainConfig config, boolean made) {
        TrainConfig.Data data = config.data();
        this.tokenizer = tokenizer;
        this.file = file;
        this.made = made;
        this.split = Split.of(file, data.validFraction(), config.seed());
        this.text = Windows.shuffled(split.train(), data.length(), data.batch(), config.seed());
        int windows = config.evaluation().windows();
        this.validation = windows == 0 ? null : Windows.sequential(split.valid(), data.length(), data.batch(), windows);
    }

    /**
     * Tokenises the text of a run, unless that was done before.
     *
     * @throws UserError if there is no text, too little of it for the windows, or it holds the run's own files; no
     *     token file is left then that was not there before
     */
    static TrainingData open(TrainConfig config, RunFolder folder) throws IOException {
        refuseOwnFiles(config, folder);
        TrainConfig.Data data = config.data();
        Tokenizer tokenizer =
                data.tokenizer().equals(BYTES) ? Tokenizers.bytes() : Tokenizers.load(Path.of(data.tokenizer()));
        Path tokens = folder.file(RunFolder.TOKENS);
        boolean made = !Files.exists(tokens);
        TokenFile file = TokenFile.of(Corpus.of(data.path()), tokenizer, tokens);
        try {
            return new TrainingData(tokenizer, file, config, made);
        } catch (RuntimeException e) {
            file.close();
            if (made) {
                Files.deleteIfExists(tokens);
            }
            throw e;
        }
    }

    /** What the run writes would change its own data, and the run could not be resumed. */
    private static void refuseOwnFiles(TrainConfig config, RunFolder folder) throws IOException {
        Path run = folder.path().toRealPath();
        for (String name : OWN_FILES) {
            if (Corpus.wouldTake(config.data().path(), run.resolve(name))) {
                throw new UserError("data.path " + config.data().path() + " takes in the run folder " + folder.path()
                        + ": give a folder elsewhere with --set out=FOLDER, or a narrower data.path");
            }
        }
    }

    Tokenizer tokenizer() {
        return tokenizer;
    }

    Split split() {
        return split;
    }

    /** The tokens' identity. */
    String fingerprint() {
        return file.contentFingerprint();
    }

    /** Endless windows of the training text in an order that follows from the seed, all of {@code data.length}. */
    BatchSource text() {
        return text;
    }

    /** What is trained on, batch by batch; its steps are known. */
    BatchSource training(TrainConfig config, Mixtures mixtures) {
        double answers = config.mixture().answerWeight();
        return config.mixture().asks()
                ? mixtures.make(order(config, split.train(), config.course(), 1, answers, config.seed()))
                : new CourseWindows(split.train(), config.course(), config.seed());
    }

    /** Sequences of the validation text in which answers alone count; none where the mixture asks nothing. */
    Optional<BatchSource> questions(TrainConfig config, Mixtures mixtures) {
        if (!config.mixture().asks() || validation == null) {
            return Optional.empty();
        }
        LengthCourse shape = config.course().atItsEnd();
        return Optional.of(mixtures.make(order(config, split.valid(), shape, 0, 1, config.seed() ^ QUESTIONS)));
    }

    private Mixtures.Order order(
            TrainConfig config, TokenView text, LengthCourse course, double textWeight, double answers, long seed) {
        return new Mixtures.Order(text, tokenizer, course, config.mixture(), textWeight, answers, seed);
    }

    /** The same ones every time; none where none are to be evaluated. */
    Optional<Windows> validation() {
        return Optional.ofNullable(validation);
    }

    /** Takes back the token file, if it was made now: for a run that fails to start. */
    void discard() throws IOException {
        if (made) {
            Files.deleteIfExists(file.path());
        }
    }

    /** Writes the tokenizer's files into a checkpoint. */
    void saveTokenizer(Path folder) {
        tokenizer.save(folder);
    }

    @Override
    public void close() {
        file.close();
    }
}
