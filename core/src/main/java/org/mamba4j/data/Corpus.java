package org.mamba4j.data;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Consumer;
import org.mamba4j.UserError;

/**
 * A collection of documents on disk, always handed out in the same order (by name), one at a time: only names are
 * held in memory.
 */
public interface Corpus {
    /** How the user named it. */
    String description();

    /** How many documents there are, empty ones included; at least 1. */
    int size();

    /**
     * 64 hexadecimal digits that change when a document is added, removed, renamed or (judged by size and time, or by
     * a zip's own checksum) modified. Does not read the documents.
     */
    String fingerprint();

    /**
     * Calls {@code reader} for every document, sorted by name.
     *
     * @throws UserError naming the file if a document cannot be read
     */
    void forEach(Consumer<Document> reader);

    /**
     * Finds the documents that {@code location} names:
     *
     * <table>
     * <caption>Kinds of corpora</caption>
     * <tr><th>location</th><th>documents</th></tr>
     * <tr><td>{@code book.txt}</td><td>that file, one document</td></tr>
     * <tr><td>{@code books/}</td><td>every file below the folder, links followed, hidden ones ({@code .git}) left out</td></tr>
     * <tr><td>{@code src/**}{@code /*.java}</td><td>the files that match; {@link Glob} has the syntax</td></tr>
     * <tr><td>{@code src.zip}, {@code a.jar}</td><td>every file in the archive</td></tr>
     * <tr><td>{@code src.zip!java.base/**.java}</td><td>the files in the archive that match</td></tr>
     * </table>
     *
     * @throws UserError naming the path and the remedy if there is no such path, nothing matches, all that was found
     *     is empty, or something cannot be read
     */
    static Corpus of(String location) {
        if (location.isBlank()) {
            throw new UserError("the corpus is named by an empty string: give a file, a folder, a glob or a zip");
        }
        Path path = pathOrNone(location);
        if (Files.isDirectory(path)) {
            return FileCorpus.ofFolder(path, location);
        }
        if (Files.exists(path)) {
            return isArchive(location) ? ZipCorpus.open(path, "", location) : FileCorpus.ofFile(path, location);
        }
        int bang = location.lastIndexOf('!');
        if (bang > 0 && isArchive(location.substring(0, bang))) {
            String pattern = location.substring(bang + 1);
            String archive = location.substring(0, bang);
            return ZipCorpus.open(
                    existing(archive), pattern.startsWith("/") ? pattern.substring(1) : pattern, location);
        }
        if (Glob.isGlob(location)) {
            return FileCorpus.ofGlob(location);
        }
        existing(location);
        throw new UserError(location + " is neither a file nor a folder: give a file, a folder, a glob or a zip");
    }

    /**
     * Whether a file, if it were there, would be one of the documents of a folder or glob; for those who are about to
     * write it.
     *
     * @param file with its links resolved
     */
    static boolean wouldTake(String location, Path file) {
        Path path = pathOrNone(location);
        if (Files.isDirectory(path)) {
            return FileCorpus.isVisible(path, file, name -> true);
        }
        if (Files.exists(path) || !Glob.isGlob(location)) {
            return false;
        }
        String base = Glob.base(location);
        Glob glob = new Glob(location.substring(base.length()));
        return FileCorpus.isVisible(Path.of(base.isEmpty() ? "." : base), file, glob::matches);
    }

    private static Path existing(String location) {
        Path path = pathOrNone(location);
        if (!Files.exists(path)) {
            throw new UserError("no such file or folder: " + location + " (looked for "
                    + path.toAbsolutePath().normalize() + "); give a file, a folder, a glob or a zip");
        }
        return path;
    }

    private static Path pathOrNone(String location) {
        try {
            return Path.of(location);
        } catch (InvalidPathException e) {
            throw new UserError("not a path: " + e.getMessage(), e);
        }
    }

    private static boolean isArchive(String name) {
        String lower = name.toLowerCase(Locale.ROOT);
        return lower.endsWith(".zip") || lower.endsWith(".jar");
    }

    /** The part of an exception that tells a user something; messages of file system errors are only the path. */
    static String reason(IOException e) {
        if (e instanceof AccessDeniedException) {
            return "access denied";
        }
        if (e instanceof FileSystemException f) {
            String reason = f.getReason();
            return reason == null ? f.getClass().getSimpleName() : reason;
        }
        String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : message;
    }
}
