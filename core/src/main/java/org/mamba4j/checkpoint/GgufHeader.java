package org.mamba4j.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.Utf8;
import org.mamba4j.model.Shape;

/**
 * What stands before the data of a GGUF file, little-endian:
 *
 * <pre>
 * "GGUF"  version u32  tensors u64  keys u64
 * keys:    name  type u32  value                 a text is its length u64 and its UTF-8; an array its elements' type u32,
 *                                                their number u64 and the elements
 * tensors: name  rank u32  sizes u64, innermost first  type u32  offset u64
 * padding to a multiple of general.alignment (32), then the data, each tensor padded so
 * </pre>
 *
 * <p>Nothing is allocated on the word of a header: a count is believed only if so many of the smallest things would fit in
 * what is left of the file, and values stay where they are.
 *
 * <p>Source: the format's description, docs/gguf.md of ggml, versions 2 and 3.
 *
 * @param version 2 or 3, which differ in nothing here
 * @param metadata by key, in the file's order
 * @param tensors by name, in the file's order
 * @param dataStart byte of the file at which offsets begin
 */
record GgufHeader(
        int version,
        SequencedMap<String, GgufValue> metadata,
        SequencedMap<String, GgufTensor> tensors,
        long dataStart) {
    static final String ALIGNMENT = "general.alignment";
    static final int DEFAULT_ALIGNMENT = 32;
    static final int MAGIC = 0x46554747; // "GGUF"

    /** As many as ggml's tensors may have. */
    static final int MAX_RANK = 4;

    private static final int FIXED_BYTES = 24;
    private static final int LEAST_KEY_BYTES = 8 + 4 + 1;
    private static final int LEAST_TENSOR_BYTES = 8 + 4 + 4 + 8;
    private static final int MAX_NAME_BYTES = 1 << 16;
    private static final long MAX_ALIGNMENT = 1 << 20;

    /**
     * @param file the whole file
     * @param path for messages
     * @throws UserError if it is damaged; says where
     */
    static GgufHeader parse(MemorySegment file, String path) {
        return new Parser(file, path).parse();
    }

    /** Reads from the start to the end. */
    private static final class Parser {
        private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfLong LONG =
                ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

        private final MemorySegment file;
        private final String path;
        private long at;
        private String part = "the header";

        Parser(MemorySegment file, String path) {
            this.file = file;
            this.path = path;
        }

        GgufHeader parse() {
            if (file.byteSize() < FIXED_BYTES || readInt() != MAGIC) {
                throw new UserError(path + " is no GGUF file: it does not begin with \"GGUF\" and a header; give a"
                        + " checkpoint folder or a GGUF file");
            }
            int version = checkedVersion(readInt());
            long tensorCount = count("tensors", LEAST_TENSOR_BYTES);
            long keyCount = count("keys", LEAST_KEY_BYTES);
            SequencedMap<String, GgufValue> metadata = new LinkedHashMap<>();
            for (long i = 0; i < keyCount; i++) {
                part = "key number " + i;
                String key = name();
                part = "key " + JsonText.quoted(key);
                if (metadata.put(key, value()) != null) {
                    throw error("is there twice");
                }
            }
            SequencedMap<String, GgufTensor> tensors = new LinkedHashMap<>();
            for (long i = 0; i < tensorCount; i++) {
                part = "tensor number " + i;
                GgufTensor tensor = tensor();
                if (tensors.put(tensor.name(), tensor) != null) {
                    throw error("is there twice");
                }
            }
            int alignment = alignment(metadata);
            long dataStart = padded(at, alignment);
            checkPlaces(tensors, alignment, file.byteSize() - dataStart);
            return new GgufHeader(version, metadata, tensors, dataStart);
        }

        private int checkedVersion(int version) {
            if (version == Integer.reverseBytes(2) || version == Integer.reverseBytes(3)) {
                throw new UserError(
                        path + " is a GGUF file for big-endian machines, which is not supported: convert the"
                                + " model again without --bigendian");
            }
            if (version != 2 && version != 3) {
                throw new UserError(path + " is of version " + Integer.toUnsignedString(version)
                        + " of GGUF, but 2 and 3 are supported: convert the model again"
                        + (version == 1 ? "" : ", or update this program"));
            }
            return version;
        }

        /** A number of things of {@code leastBytes} each, which the rest of the file must have room for. */
        private long count(String what, int leastBytes) {
            long count = readLong();
            if (count < 0 || count > (file.byteSize() - at) / leastBytes) {
                throw new UserError(path + ": the header says " + Long.toUnsignedString(count) + " " + what
                        + ", more than the file's " + file.byteSize()
                        + " bytes have room for: it is cut off or damaged, fetch it again");
            }
            return count;
        }

        private GgufValue value() {
            GgufValue.Type type = type();
            long start = at;
            if (type != GgufValue.Type.ARRAY) {
                skip(type, 1);
                return new GgufValue(type, type, 1, file.asSlice(start, at - start));
            }
            GgufValue.Type element = type();
            if (element == GgufValue.Type.ARRAY) {
                throw error("is an array of arrays, which no key of a model is");
            }
            long count = readLong();
            start = at;
            skip(element, count);
            return new GgufValue(type, element, count, file.asSlice(start, at - start));
        }

        private GgufValue.Type type() {
            int code = readInt();
            return GgufValue.Type.of(code)
                    .orElseThrow(() -> error("has the type " + Integer.toUnsignedString(code)
                            + ", which GGUF does not have: the file is damaged, or newer than this program"));
        }

        private void skip(GgufValue.Type type, long count) {
            int least = type == GgufValue.Type.TEXT ? 8 : type.bytes();
            if (count < 0 || count > (file.byteSize() - at) / least) {
                throw error("has " + Long.toUnsignedString(count) + " elements, more than the file's " + file.byteSize()
                        + " bytes have room for: it is cut off or damaged, fetch it again");
            }
            if (type != GgufValue.Type.TEXT) {
                at += count * least;
                return;
            }
            for (long i = 0; i < count; i++) {
                long length = textLength(Long.MAX_VALUE); // moves on itself
                at += length;
            }
        }

        private long textLength(long max) {
            long length = readLong();
            if (length < 0 || length > file.byteSize() - at) {
                throw error("has a text of " + Long.toUnsignedString(length) + " bytes, but " + (file.byteSize() - at)
                        + " are left: the file is cut off or damaged, fetch it again");
            }
            if (length > max) {
                throw error("has a name of " + length + " bytes, more than " + max + ": the file is damaged");
            }
            return length;
        }

        private String name() {
            int length = (int) textLength(MAX_NAME_BYTES);
            byte[] utf8 = file.asSlice(at, length).toArray(JAVA_BYTE);
            if (length == 0 || Utf8.firstInvalid(utf8) < length) {
                throw error("has a name that is empty or no UTF-8: the file is damaged, fetch it again");
            }
            at += length;
            return new String(utf8, StandardCharsets.UTF_8);
        }

        private GgufTensor tensor() {
            String name = name();
            part = "tensor " + JsonText.quoted(name);
            int rank = readInt();
            if (rank < 0 || rank > MAX_RANK) {
                throw error("has " + Integer.toUnsignedString(rank) + " dimensions, but at most " + MAX_RANK
                        + " are possible: the file is damaged");
            }
            long[] sizes = new long[rank];
            for (int i = rank - 1; i >= 0; i--) {
                sizes[i] = readLong();
                if (sizes[i] < 0) {
                    throw error("has a dimension of " + Long.toUnsignedString(sizes[i]) + ": the file is damaged");
                }
            }
            int code = readInt();
            GgmlType type = GgmlType.of(code)
                    .orElseThrow(() -> error("has elements of type " + Integer.toUnsignedString(code)
                            + ", which this program does not know: convert the model to one of "
                            + GgmlType.usable()));
            long offset = readLong();
            return checked(name, type, sizes, offset);
        }

        private GgufTensor checked(String name, GgmlType type, long[] sizes, long offset) {
            long columns = sizes.length == 0 ? 1 : sizes[sizes.length - 1];
            if (!type.fits(columns)) {
                throw error("has rows of " + columns + " numbers, which are no whole number of blocks of " + type
                        + ": the file is damaged");
            }
            try {
                GgufTensor tensor = new GgufTensor(name, type, Shape.of(sizes), offset);
                Math.addExact(offset, tensor.bytes());
                return tensor;
            } catch (ArithmeticException e) {
                throw error("has more bytes than 63 bits can count: the file is damaged");
            }
        }

        private int alignment(SequencedMap<String, GgufValue> metadata) {
            GgufValue value = metadata.get(ALIGNMENT);
            if (value == null) {
                return DEFAULT_ALIGNMENT;
            }
            long alignment = value.isInteger() && value.count() == 1 ? value.integer(0) : 0;
            if (alignment < 1 || alignment > MAX_ALIGNMENT || Long.bitCount(alignment) != 1) {
                throw new UserError(path + ": \"" + ALIGNMENT + "\" is " + value
                        + ", but must be a power of two: the file is damaged");
            }
            return (int) alignment;
        }

        /** Tensors must follow each other, padded, in the order of the header, and end before the file does. */
        private void checkPlaces(SequencedMap<String, GgufTensor> tensors, int alignment, long dataBytes) {
            long expected = 0;
            for (GgufTensor tensor : tensors.values()) {
                part = "tensor " + JsonText.quoted(tensor.name());
                if (tensor.offset() != expected) {
                    throw error("begins at byte " + Long.toUnsignedString(tensor.offset()) + " of the data, but after"
                            + " the tensors before it, aligned to " + alignment + ", comes byte " + expected
                            + ": the file is damaged");
                }
                if (tensor.bytes() > dataBytes - expected) {
                    throw error("ends at byte " + (expected + tensor.bytes()) + " of the data, but there are "
                            + Math.max(0, dataBytes) + ": the file is cut off, fetch it again");
                }
                expected = padded(expected + tensor.bytes(), alignment);
            }
        }

        private int readInt() {
            require(Integer.BYTES);
            int value = file.get(INT, at);
            at += Integer.BYTES;
            return value;
        }

        private long readLong() {
            require(Long.BYTES);
            long value = file.get(LONG, at);
            at += Long.BYTES;
            return value;
        }

        private void require(int bytes) {
            if (bytes > file.byteSize() - at) {
                throw new UserError(path + " ends at byte " + file.byteSize() + ", inside " + part
                        + ": the file is cut off, fetch it again");
            }
        }

        private UserError error(String what) {
            return new UserError(path + ": " + part + " " + what);
        }
    }

    /** The first multiple of {@code alignment} from {@code bytes} on. */
    static long padded(long bytes, int alignment) {
        return Math.ceilDiv(bytes, (long) alignment) * alignment;
    }
}
