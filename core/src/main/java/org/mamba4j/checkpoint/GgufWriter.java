package org.mamba4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Supplier;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.Shape;

/** Writes GGUF files of version 3, atomically; {@link GgufHeader} has the layout. Equal input gives equal bytes. */
public final class GgufWriter {
    private static final int VERSION = 3;

    private GgufWriter() {}

    /**
     * A tensor to be written.
     *
     * @param name its name in the file
     * @param type its elements
     * @param shape its sizes, outermost first, rows whole blocks
     * @param data gives its bytes when their turn comes; used until the next tensor's are asked for
     */
    public record Tensor(String name, GgmlType type, Shape shape, Supplier<MemorySegment> data) {
        long bytes() {
            return type.bytes(shape.elements());
        }
    }

    /**
     * Writes {@code file}; see {@link AtomicFile} for what happens when that fails.
     *
     * @param keys in this order, without {@code general.alignment}
     * @param tensors in this order
     * @throws org.mamba4j.UserError if the file cannot be written
     * @throws IllegalArgumentException if a tensor's data is not as long as its shape says
     */
    public static void write(Path file, SequencedMap<String, GgufValue> keys, List<Tensor> tensors) {
        AtomicFile.write(file, channel -> {
            ByteBuffer buffer = ByteBuffer.allocateDirect(AtomicFile.BUFFER_BYTES);
            Out out = new Out(channel, buffer);
            out.header(keys, tensors);
            out.pad();
            for (Tensor tensor : tensors) {
                MemorySegment data = tensor.data().get();
                if (data.byteSize() != tensor.bytes()) {
                    throw new IllegalArgumentException("tensor " + JsonText.quoted(tensor.name()) + ", " + tensor.type()
                            + " " + tensor.shape() + ", needs " + tensor.bytes() + " bytes, but " + data.byteSize()
                            + " were given");
                }
                out.bytes(data);
                out.pad();
            }
        });
    }

    /** A channel that knows where it is. */
    private static final class Out {
        private final WritableByteChannel channel;
        private final ByteBuffer buffer;
        private long at;

        Out(WritableByteChannel channel, ByteBuffer buffer) {
            this.channel = channel;
            this.buffer = buffer;
        }

        void header(SequencedMap<String, GgufValue> keys, List<Tensor> tensors) throws IOException {
            ints(GgufHeader.MAGIC, VERSION);
            longs(tensors.size(), keys.size());
            for (var entry : keys.entrySet()) {
                GgufValue value = entry.getValue();
                text(entry.getKey());
                ints(value.type().code());
                if (value.type() == GgufValue.Type.ARRAY) {
                    ints(value.element().code());
                    longs(value.count());
                }
                bytes(value.data());
            }
            long offset = 0;
            for (Tensor tensor : tensors) {
                text(tensor.name());
                int rank = tensor.shape().rank();
                ints(rank);
                for (int i = rank - 1; i >= 0; i--) {
                    longs(tensor.shape().size(i));
                }
                ints(tensor.type().code());
                longs(offset);
                offset = GgufHeader.padded(offset + tensor.bytes(), GgufHeader.DEFAULT_ALIGNMENT);
            }
        }

        private void text(String text) throws IOException {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            longs(utf8.length);
            bytes(MemorySegment.ofArray(utf8));
        }

        private void ints(int... values) throws IOException {
            ByteBuffer all = ByteBuffer.allocate(Integer.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
            for (int value : values) {
                all.putInt(value);
            }
            bytes(MemorySegment.ofBuffer(all.flip()));
        }

        private void longs(long... values) throws IOException {
            ByteBuffer all = ByteBuffer.allocate(Long.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
            for (long value : values) {
                all.putLong(value);
            }
            bytes(MemorySegment.ofBuffer(all.flip()));
        }

        /** Zeros up to the alignment. */
        void pad() throws IOException {
            bytes(MemorySegment.ofArray(new byte[(int) (GgufHeader.padded(at, GgufHeader.DEFAULT_ALIGNMENT) - at)]));
        }

        void bytes(MemorySegment data) throws IOException {
            AtomicFile.writeFully(channel, data, buffer);
            at += data.byteSize();
        }
    }
}
