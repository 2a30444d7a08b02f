package org.mamba4j.torch.train;

import java.nio.file.Path;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.Split;
import org.mamba4j.data.TokenFile;
import org.mamba4j.data.Windows;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/** A run's text as tokens, split, and the windows that training and evaluation read. */
final class TrainingData implements AutoCloseable {
    /** The {@code data.tokenizer} that needs no file. */
    static final String BYTES = "bytes";

    /** Name of the token file in the run folder. */
    static final String TOKENS = "data.tokens";

    private final Tokenizer tokenizer;
    private final TokenFile file;
    private final Split split;

    private TrainingData(Tokenizer tokenizer, TokenFile file, Split split) {
        this.tokenizer = tokenizer;
        this.file = file;
        this.split = split;
    }

    /** Tokenises the text of a run, unless that was done before. */
    static TrainingData open(TrainConfig config, RunFolder folder) {
        TrainConfig.Data data = config.data();
        Tokenizer tokenizer =
                data.tokenizer().equals(BYTES) ? Tokenizers.bytes() : Tokenizers.load(Path.of(data.tokenizer()));
        TokenFile file = TokenFile.of(Corpus.of(data.path()), tokenizer, folder.file(TOKENS));
        try {
            return new TrainingData(tokenizer, file, Split.of(file, data.validFraction(), config.seed()));
        } catch (RuntimeException e) {
            file.close();
            throw e;
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

    /** Endless, in an order that follows from the seed. */
    Windows training(TrainConfig config) {
        return Windows.shuffled(
                split.train(), config.data().length(), config.data().batch(), config.seed());
    }

    /** The same ones every time. */
    Windows validation(TrainConfig config) {
        return Windows.sequential(
                split.valid(),
                config.data().length(),
                config.data().batch(),
                config.evaluation().windows());
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
