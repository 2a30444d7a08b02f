package org.mamba4j.json;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.mamba4j.UserError;

/** The way in: a whole text or file to a tree. */
public final class Json {
    /** Greatest file that {@link #read} takes: tokenizers of a million tokens are a tenth of it. */
    public static final long MAX_FILE_BYTES = 512L << 20;

    private Json() {}

    /**
     * @param utf8 the text
     * @param source what the text is, for messages
     * @throws UserError if it is not one JSON value; names the source, line, column and byte offset
     */
    public static JsonValue parse(byte[] utf8, String source) {
        JsonReader reader = new JsonReader(utf8, source);
        JsonValue value = reader.readValue();
        reader.end();
        return value;
    }

    /**
     * @param file UTF-8
     * @throws UserError if the file cannot be read or is not one JSON value
     */
    public static JsonValue read(Path file) {
        return parse(readBytes(file, MAX_FILE_BYTES), file.toString());
    }

    /**
     * The file's content.
     *
     * @param maxBytes a greater file is refused before anything is allocated
     * @throws UserError if the file cannot be read or is too great
     */
    public static byte[] readBytes(Path file, long maxBytes) {
        try {
            long size = Files.size(file);
            if (size > maxBytes) {
                throw new UserError(file + " has " + size + " bytes, more than the " + maxBytes
                        + " that a file of its kind may have");
            }
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new UserError(file + " does not exist", e);
        } catch (IOException e) {
            throw new UserError(file + " cannot be read: " + e, e);
        }
    }
}
