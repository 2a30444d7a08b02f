package org.mamba4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Map;
import java.util.SequencedMap;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.Shape;

/**
 * A safetensors file, mapped into memory: opening reads the header only, and a tensor's bytes are read when they are
 * touched. Layout: 8 bytes with the header's length, little-endian; the header ({@link SafetensorsHeader}); the data.
 *
 * <p>Safe to use from many threads until it is closed; a segment that it gave out must not be used after that. The
 * file must not be shortened by others while it is open: no program can defend itself against that.
 */
public final class SafetensorsFile implements AutoCloseable {
    /** Greatest header that is read: room for a quarter of a million tensors; the reference reads 100 MB. */
    public static final long MAX_HEADER_BYTES = 32 << 20;

    private static final int LENGTH_BYTES = 8;

    private final Path path;
    private final Arena arena;
    private final MemorySegment data;
    private final SafetensorsHeader header;

    private SafetensorsFile(Path path, Arena arena, MemorySegment data, SafetensorsHeader header) {
        this.path = path;
        this.arena = arena;
        this.data = data;
        this.header = header;
    }

    /**
     * Maps {@code path}, of any length, and checks its header against the file's size.
     *
     * @throws UserError if the file cannot be read or is damaged
     */
    public static SafetensorsFile open(Path path) {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            long size = channel.size();
            int headerBytes = headerLength(path, channel, size);
            byte[] json = read(path, channel, LENGTH_BYTES, headerBytes).array();
            long start = (long) LENGTH_BYTES + headerBytes;
            SafetensorsHeader header = SafetensorsHeader.parse(json, path.toString(), size - start);
            Arena arena = Arena.ofShared();
            try {
                MemorySegment data = channel.map(FileChannel.MapMode.READ_ONLY, start, size - start, arena);
                return new SafetensorsFile(path, arena, data, header);
            } catch (IOException | RuntimeException e) {
                arena.close();
                throw e;
            }
        } catch (NoSuchFileException e) {
            throw new UserError(path + " does not exist", e);
        } catch (IOException e) {
            throw new UserError(path + " cannot be read: " + e, e);
        }
    }

    private static int headerLength(Path path, FileChannel channel, long size) throws IOException {
        if (size < LENGTH_BYTES) {
            throw new UserError(path + " has " + size + " bytes: too few for a safetensors file");
        }
        long length = read(path, channel, 0, LENGTH_BYTES)
                .order(ByteOrder.LITTLE_ENDIAN)
                .getLong(0);
        if (length < 2 || length > size - LENGTH_BYTES) {
            throw new UserError(path + ": the header's length is given as " + Long.toUnsignedString(length)
                    + " bytes, but the file has " + size + ": it is cut off or no safetensors file");
        }
        if (length > MAX_HEADER_BYTES) {
            throw new UserError(path + ": the header has " + length + " bytes, more than the " + MAX_HEADER_BYTES
                    + " that one may have");
        }
        return (int) length;
    }

    private static ByteBuffer read(Path path, FileChannel channel, long from, int bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(bytes);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, from + buffer.position()) < 0) {
                throw new UserError(path + " became shorter while it was read");
            }
        }
        return buffer;
    }

    public Path path() {
        return path;
    }

    /** The texts of {@code __metadata__}, empty when there is none. */
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(header.metadata());
    }

    /** All tensors by name, in the header's order. */
    public SequencedMap<String, TensorInfo> tensors() {
        return Collections.unmodifiableSequencedMap(header.tensors());
    }

    public boolean has(String name) {
        return header.tensors().containsKey(name);
    }

    /** @throws UserError if there is no such tensor */
    public TensorInfo info(String name) {
        TensorInfo info = header.tensors().get(name);
        if (info == null) {
            throw new UserError(path + " has no tensor " + JsonText.quoted(name));
        }
        return info;
    }

    /** The bytes of a tensor, read-only and not copied; they need not be aligned. Valid until this is closed. */
    public MemorySegment data(String name) {
        TensorInfo info = info(name);
        return data.asSlice(info.offset(), info.bytes());
    }

    /**
     * A copy of a tensor as floats, whatever its type.
     *
     * @throws UserError if there is no such tensor or it has more elements than an array
     */
    public float[] floats(String name) {
        TensorInfo info = info(name);
        float[] values = new float[arrayLength(info)];
        info.dtype().toFloats(data(name), 0, values, 0, values.length);
        return values;
    }

    /**
     * A copy of a tensor of integers.
     *
     * @throws UserError if there is no such tensor, it holds fractions or has more elements than an array
     */
    public long[] longs(String name) {
        TensorInfo info = info(name);
        if (info.dtype().isFloating()) {
            throw new UserError(
                    path + ": tensor " + JsonText.quoted(name) + " is " + info.dtype() + ", but must hold integers");
        }
        MemorySegment bytes = data(name);
        long[] values = new long[arrayLength(info)];
        for (int i = 0; i < values.length; i++) {
            values[i] = info.dtype().getLong(bytes, i);
        }
        return values;
    }

    /** @throws UserError unless the tensor is there and has that shape */
    public void requireShape(String name, Shape expected) {
        TensorInfo info = info(name);
        if (!info.shape().equals(expected)) {
            throw new UserError(path + ": tensor " + JsonText.quoted(name) + " has shape " + info.shape()
                    + ", but must have " + expected);
        }
    }

    private int arrayLength(TensorInfo info) {
        long elements = info.shape().elements();
        if (elements > Integer.MAX_VALUE - 8) {
            throw new UserError(path + ": tensor " + JsonText.quoted(info.name()) + " " + info.shape()
                    + " has more elements than a Java array: read it through data()");
        }
        return (int) elements;
    }

    /** Ends the mapping: segments given out are invalid from here on. */
    @Override
    public void close() {
        arena.close();
    }
}
