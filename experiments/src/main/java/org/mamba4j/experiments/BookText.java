package org.mamba4j.experiments;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Corpus;
import org.mamba4j.data.TokenFile;
import org.mamba4j.data.TokenView;
import org.mamba4j.data.Windows;
import org.mamba4j.text.Tokenizers;

/** Windows of the books, in bytes: read when the first is asked for, once in a process. */
public final class BookText {
    private static final Map<Path, TokenView> READ = new ConcurrentHashMap<>();
    private static final int BYTES = 256;

    private BookText() {}

    /**
     * Endless windows of the training books.
     *
     * @param data folder of the data sets
     * @throws UserError when the first batch is asked for, if there are no books
     */
    public static BatchSource training(Path data, int length, int rows, long seed) {
        return new Lazy(() -> Windows.shuffled(text(data, "train"), length, rows, seed));
    }

    /**
     * Windows of books that no training sees, spread evenly over them.
     *
     * @param windows how many
     */
    public static BatchSource heldOut(Path data, int length, int rows, int windows) {
        return new Lazy(() -> Windows.sequential(text(data, "test"), length, rows, windows));
    }

    private static TokenView text(Path data, String part) {
        return READ.computeIfAbsent(data.resolve("books").resolve(part), BookText::read);
    }

    private static TokenView read(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new UserError(
                    "there are no books in " + folder
                            + ": give the folder of the data sets, which has books/train and books/test in it, with --data DIR");
        }
        try {
            Path tokens = Files.createTempDirectory("mamba4j-books").resolve("tokens.bin");
            TokenFile file = TokenFile.of(Corpus.of(folder.toString()), Tokenizers.bytes(), tokens);
            Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(tokens)));
            return TokenView.all(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path tokens) {
        try {
            Files.deleteIfExists(tokens);
            Files.deleteIfExists(Objects.requireNonNull(tokens.getParent()));
        } catch (IOException e) {
            // A temporary file is left behind: the system's to remove.
            System.getLogger(BookText.class.getName()).log(System.Logger.Level.DEBUG, "{0} is left behind", tokens);
        }
    }

    /** Made when it is first needed. */
    private static final class Lazy implements BatchSource {
        private final Supplier<Windows> maker;
        private final Map<String, Windows> made = new ConcurrentHashMap<>();

        private Lazy(Supplier<Windows> maker) {
            this.maker = maker;
        }

        private Windows windows() {
            return made.computeIfAbsent("", key -> maker.get());
        }

        @Override
        public Batch batch(long index) {
            return windows().batch(index);
        }

        @Override
        public long batchesPerEpoch() {
            return windows().batchesPerEpoch();
        }

        @Override
        public int vocabSize() {
            return BYTES;
        }
    }
}
