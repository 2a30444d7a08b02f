package org.mamba4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.function.ObjIntConsumer;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonText;

/**
 * A GGUF file, the format of llama.cpp, mapped into memory: one file with a model's metadata, tokenizer and tensors.
 * Opening walks through the header only ({@link GgufHeader}); a value or a tensor is read when it is touched.
 *
 * <p>Safe to use from many threads until it is closed; a segment that it gave out must not be used after that. The
 * file must not be shortened by others while it is open: no program can defend itself against that.
 */
public final class GgufFile implements AutoCloseable {
    private final Path path;
    private final Arena arena;
    private final MemorySegment file;
    private final GgufHeader header;

    private GgufFile(Path path, Arena arena, MemorySegment file, GgufHeader header) {
        this.path = path;
        this.arena = arena;
        this.file = file;
        this.header = header;
    }

    /**
     * Maps {@code path}, of any length, and checks its header against the file's size.
     *
     * @throws UserError if the file cannot be read, is damaged, or of a version or type that is not known
     */
    public static GgufFile open(Path path) {
        if (Files.isDirectory(path)) {
            throw new UserError(path + " is a folder: give a GGUF file");
        }
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            Arena arena = Arena.ofShared();
            boolean opened = false;
            try {
                MemorySegment file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
                GgufFile result = new GgufFile(path, arena, file, GgufHeader.parse(file, path.toString()));
                opened = true;
                return result;
            } finally {
                if (!opened) {
                    arena.close();
                }
            }
        } catch (NoSuchFileException e) {
            throw new UserError(path + " does not exist", e);
        } catch (IOException e) {
            throw new UserError(path + " cannot be read: " + e, e);
        }
    }

    /** Whether {@code path} is a file that says that it is GGUF. */
    public static boolean isOne(Path path) {
        if (!Files.isRegularFile(path)) {
            return false;
        }
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            ByteBuffer magic = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            while (magic.hasRemaining() && channel.read(magic) >= 0) {
                // Until there are four, or no more.
            }
            return !magic.hasRemaining() && magic.getInt(0) == GgufHeader.MAGIC;
        } catch (IOException e) {
            throw new UserError(path + " cannot be read: " + e, e);
        }
    }

    public Path path() {
        return path;
    }

    /** The format's version. */
    public int version() {
        return header.version();
    }

    /** All keys with their values, in the file's order. Values are valid until this is closed. */
    public SequencedMap<String, GgufValue> metadata() {
        return Collections.unmodifiableSequencedMap(header.metadata());
    }

    /** All tensors by name, in the file's order. */
    public SequencedMap<String, GgufTensor> tensors() {
        return Collections.unmodifiableSequencedMap(header.tensors());
    }

    /** The bytes of a tensor, read-only and not copied. Valid until this is closed. */
    public MemorySegment data(GgufTensor tensor) {
        return file.asSlice(header.dataStart() + tensor.offset(), tensor.bytes());
    }

    public boolean has(String key) {
        return header.metadata().containsKey(key);
    }

    /** @throws UserError if the key is missing or no text */
    public String text(String key) {
        return value(key, "a text", GgufValue.Type.TEXT, GgufValue.Type.TEXT).toString();
    }

    /** @throws UserError if the key is missing or neither true nor false */
    public boolean bool(String key) {
        return value(key, "a bool", GgufValue.Type.BOOL, GgufValue.Type.BOOL).bool(0);
    }

    /** @throws UserError if the key is missing or no fraction */
    public double real(String key) {
        return value(key, "a float", GgufValue.Type.F32, GgufValue.Type.F64).real(0);
    }

    /** @throws UserError if the key is missing, no integer, or not within {@code min} and {@code max} */
    public int integer(String key, int min, int max) {
        GgufValue value = value(key);
        if (value.type() == GgufValue.Type.ARRAY || !value.isInteger()) {
            throw wrong(key, value, "an integer");
        }
        long number = value.integer(0);
        if (number < min || number > max) {
            throw new UserError(path + ": " + JsonText.quoted(key) + " is " + value + ", but must be from " + min
                    + " to " + max + ": the file is damaged, or made for another program");
        }
        return (int) number;
    }

    /**
     * Hands over the texts of an array with their places.
     *
     * @throws UserError if the key is missing or no array of texts, or has more than an array of Java's
     */
    public void texts(String key, ObjIntConsumer<String> sink) {
        GgufValue value = value(key);
        if (value.type() != GgufValue.Type.ARRAY || value.element() != GgufValue.Type.TEXT) {
            throw wrong(key, value, "an array of texts");
        }
        length(key, value);
        value.texts(sink);
    }

    /** @throws UserError if the key is missing or no array of integers of 32 bits */
    public int[] integers(String key) {
        GgufValue value = value(key);
        if (value.type() != GgufValue.Type.ARRAY || !value.isInteger()) {
            throw wrong(key, value, "an array of integers");
        }
        int[] values = new int[length(key, value)];
        for (int i = 0; i < values.length; i++) {
            long number = value.integer(i);
            if (number != (int) number) {
                throw wrong(key, value, "an array of integers of 32 bits");
            }
            values[i] = (int) number;
        }
        return values;
    }

    /** @throws UserError if the key is missing or no array */
    public int length(String key) {
        return length(key, value(key));
    }

    private int length(String key, GgufValue value) {
        if (value.type() != GgufValue.Type.ARRAY || value.count() > Integer.MAX_VALUE - 8) {
            throw wrong(key, value, "an array of less than 2^31 elements");
        }
        return (int) value.count();
    }

    private GgufValue value(String key, String what, GgufValue.Type one, GgufValue.Type other) {
        GgufValue value = value(key);
        if (!List.of(one, other).contains(value.type())) {
            throw wrong(key, value, what);
        }
        return value;
    }

    private GgufValue value(String key) {
        if (!has(key)) {
            throw new UserError(
                    path + " has no key " + JsonText.quoted(key) + ": convert the model again, or fetch another file");
        }
        return Objects.requireNonNull(header.metadata().get(key));
    }

    private UserError wrong(String key, GgufValue value, String expected) {
        return new UserError(path + ": " + JsonText.quoted(key) + " is " + JsonText.quoted(shortened(value.toString()))
                + " (" + value.type() + "), but must be " + expected + ": convert the model again");
    }

    private static String shortened(String text) {
        return text.length() <= 60 ? text : text.substring(0, 60) + "…";
    }

    /** Ends the mapping: segments given out are invalid from here on. */
    @Override
    public void close() {
        arena.close();
    }
}
