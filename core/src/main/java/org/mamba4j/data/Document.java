package org.mamba4j.data;

import java.io.IOException;
import java.io.InputStream;
import org.mamba4j.UserError;

/**
 * One text of a corpus: its bytes as they are, in whatever encoding. Handed out by {@link Corpus#forEach} and valid
 * during that call only.
 *
 * @param name unique within the corpus and independent of where the corpus lies: path parts joined by {@code /}
 * @param location where it was found, for messages
 * @param source opens the bytes from the beginning
 */
public record Document(String name, String location, Source source) {
    /** Reads the whole document; for one above 2 GiB read {@link #open} piece by piece. */
    public byte[] bytes() {
        try (InputStream in = open()) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    /** The bytes from the beginning; the caller closes the stream. */
    public InputStream open() {
        try {
            return source.open();
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    /** What to throw when reading from {@link #open} fails. */
    UserError unreadable(IOException cause) {
        return new UserError(
                location + " cannot be read (" + Corpus.reason(cause)
                        + "): repair it, change its permissions or leave it out of the corpus",
                cause);
    }

    /** Opens the bytes of a document. */
    @FunctionalInterface
    public interface Source {
        /** A fresh stream from the first byte. */
        InputStream open() throws IOException;
    }
}
