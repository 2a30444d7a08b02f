package org.mamba4j.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;
import org.mamba4j.model.Shape;

/**
 * Writes safetensors files, atomically. Equal input gives equal bytes, and the bytes that the reference implementation
 * writes: tensors sorted by type, the widest first, then by name; the header padded to a multiple of 8.
 */
public final class SafetensorsWriter {
    private SafetensorsWriter() {}

    /**
     * A tensor to be written.
     *
     * @param name its name in the file
     * @param dtype its elements
     * @param shape its sizes
     * @param data gives its bytes, little-endian, when their turn comes; used until the next tensor's are asked for
     */
    public record Tensor(String name, DType dtype, Shape shape, Supplier<MemorySegment> data) {
        /** A tensor of float32 values, which are not copied. */
        public static Tensor ofFloats(String name, Shape shape, float[] values) {
            // Heap memory is in the machine's order: every machine that runs this is little-endian.
            return new Tensor(name, DType.F32, shape, () -> MemorySegment.ofArray(values));
        }

        /** A tensor of int64 values, which are not copied. */
        public static Tensor ofLongs(String name, Shape shape, long[] values) {
            return new Tensor(name, DType.I64, shape, () -> MemorySegment.ofArray(values));
        }

        long bytes() {
            return Math.multiplyExact(shape.elements(), (long) dtype.bytes());
        }
    }

    /**
     * Writes {@code file}; see {@link AtomicFile} for what happens when that fails.
     *
     * @param metadata for {@code __metadata__}, left out when empty
     * @param tensors in any order
     * @throws org.mamba4j.UserError if the file cannot be written
     * @throws IllegalArgumentException if two tensors have one name, or a tensor's data is not as long as its shape says
     */
    public static void write(Path file, Map<String, String> metadata, List<Tensor> tensors) {
        AtomicFile.write(file, body(metadata, tensors));
    }

    /**
     * Writes {@code file} with one tensor of float32 values that need not be in memory at once; the file is as {@link
     * #write} makes it.
     *
     * @param source called once, when it is known that the file can be written; hands all values to its argument, in
     *     order, in arrays of any lengths, which it may use again
     * @throws org.mamba4j.UserError if the file cannot be written
     * @throws IllegalArgumentException if more or fewer values came than {@code shape} says
     */
    public static void writeFloats(Path file, String name, Shape shape, Consumer<Consumer<float[]>> source) {
        Tensor tensor = new Tensor(name, DType.F32, shape, () -> MemorySegment.NULL);
        byte[] header = header(Map.of(), sorted(List.of(tensor)));
        AtomicFile.write(file, channel -> {
            writeHeader(channel, header);
            long[] written = {0};
            try {
                source.accept(values -> {
                    try {
                        ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact(values.length, Float.BYTES))
                                .order(ByteOrder.LITTLE_ENDIAN);
                        bytes.asFloatBuffer().put(values);
                        AtomicFile.writeFully(channel, bytes);
                        written[0] += values.length;
                    } catch (IOException e) {
                        throw new UncheckedIOException(String.valueOf(e.getMessage()), e);
                    }
                });
            } catch (UncheckedIOException e) {
                throw new IOException(e.getMessage(), e);
            }
            if (written[0] != shape.elements()) {
                throw new IllegalArgumentException("tensor " + JsonText.quoted(name) + " " + shape + " needs "
                        + shape.elements() + " values, but " + written[0] + " were given");
            }
        });
    }

    /** What {@link #write} writes. */
    static AtomicFile.Body body(Map<String, String> metadata, List<Tensor> tensors) {
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
            throw new UnsupportedOperationException("safetensors are written on little-endian machines only");
        }
        List<Tensor> sorted = sorted(tensors);
        byte[] header = header(metadata, sorted);
        return channel -> {
            writeHeader(channel, header);
            ByteBuffer buffer = ByteBuffer.allocateDirect(AtomicFile.BUFFER_BYTES);
            for (Tensor tensor : sorted) {
                writeData(channel, tensor, buffer);
            }
        };
    }

    private static void writeHeader(WritableByteChannel channel, byte[] header) throws IOException {
        ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        AtomicFile.writeFully(channel, length.putLong(header.length).flip());
        AtomicFile.writeFully(channel, ByteBuffer.wrap(header));
    }

    private static List<Tensor> sorted(List<Tensor> tensors) {
        Set<String> names = new HashSet<>();
        for (Tensor tensor : tensors) {
            if (!names.add(tensor.name()) || tensor.name().equals(SafetensorsHeader.METADATA)) {
                throw new IllegalArgumentException("the name " + JsonText.quoted(tensor.name()) + " is taken");
            }
        }
        List<Tensor> sorted = new ArrayList<>(tensors);
        sorted.sort(Comparator.comparing(Tensor::dtype)
                .reversed()
                .thenComparing(tensor -> tensor.name().getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned));
        return sorted;
    }

    private static byte[] header(Map<String, String> metadata, List<Tensor> sorted) {
        JsonObject.Builder header = JsonObject.builder();
        if (!metadata.isEmpty()) {
            header.put(
                    SafetensorsHeader.METADATA,
                    JsonObject.builder().putStrings(new TreeMap<>(metadata)).build());
        }
        long offset = 0;
        for (Tensor tensor : sorted) {
            long end = Math.addExact(offset, tensor.bytes());
            header.put(
                    tensor.name(),
                    JsonObject.builder()
                            .put("dtype", tensor.dtype().name())
                            .put("shape", numbers(tensor.shape().toArray()))
                            .put("data_offsets", numbers(offset, end))
                            .build());
            offset = end;
        }
        byte[] json = JsonText.compact(header.build()).getBytes(StandardCharsets.UTF_8);
        byte[] padded = Arrays.copyOf(json, Math.ceilDiv(json.length, 8) * 8);
        Arrays.fill(padded, json.length, padded.length, (byte) ' ');
        return padded;
    }

    private static JsonArray numbers(long... values) {
        return new JsonArray(Arrays.stream(values)
                .mapToObj(JsonNumber::of)
                .map(JsonValue.class::cast)
                .toList());
    }

    private static void writeData(WritableByteChannel channel, Tensor tensor, ByteBuffer buffer) throws IOException {
        MemorySegment data = tensor.data().get();
        if (data.byteSize() != tensor.bytes()) {
            throw new IllegalArgumentException("tensor " + JsonText.quoted(tensor.name()) + ", " + tensor.dtype() + " "
                    + tensor.shape() + ", needs " + tensor.bytes() + " bytes, but " + data.byteSize() + " were given");
        }
        AtomicFile.writeFully(channel, data, buffer);
    }
}
