package org.mamba4j.checkpoint;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonReader;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.Shape;

/**
 * The header of a safetensors file: JSON with a field per tensor, {@code "name": {"dtype": "F32", "shape": [2, 3],
 * "data_offsets": [0, 24]}}, and the texts of {@code "__metadata__"}.
 *
 * <p>A header is believed only as a whole: the tensors must cover the data exactly, in some order, without gap or
 * overlap, and each range must be as long as its shape and type say. Nothing is allocated on the word of a header:
 * what it makes is as great as its own text.
 */
record SafetensorsHeader(Map<String, String> metadata, SequencedMap<String, TensorInfo> tensors) {
    static final String METADATA = "__metadata__";

    /** More dimensions than any tensor has. */
    static final int MAX_RANK = 16;

    /**
     * @param json the header's bytes
     * @param file for messages
     * @param dataBytes bytes of the file after the header
     */
    static SafetensorsHeader parse(byte[] json, String file, long dataBytes) {
        Map<String, String> metadata = new LinkedHashMap<>();
        SequencedMap<String, TensorInfo> tensors = new LinkedHashMap<>();
        JsonReader reader = new JsonReader(json, file + ", header");
        reader.readObject(name -> {
            if (name.equals(METADATA)) {
                reader.readObject(key -> metadata.put(key, reader.readString()));
            } else {
                tensors.put(name, new Entry(reader, name).read());
            }
        });
        reader.end();
        checkCoverage(file, tensors, dataBytes);
        return new SafetensorsHeader(metadata, tensors);
    }

    /** Tensors sorted by offset must follow each other and end where the file ends. */
    private static void checkCoverage(String file, SequencedMap<String, TensorInfo> tensors, long dataBytes) {
        List<TensorInfo> sorted = new ArrayList<>(tensors.values());
        sorted.sort(Comparator.comparingLong(TensorInfo::offset).thenComparingLong(TensorInfo::end));
        long end = 0;
        String before = "";
        for (TensorInfo tensor : sorted) {
            String name = "tensor " + JsonText.quoted(tensor.name());
            if (tensor.end() > dataBytes) {
                throw new UserError(
                        file + ": " + name + " ends at byte " + tensor.end() + " of the data, but there are "
                                + dataBytes + ": the file is cut off or its header is damaged");
            }
            if (tensor.offset() < end) {
                throw new UserError(file + ": " + name + " begins at byte " + tensor.offset()
                        + " of the data, inside tensor " + before + ", which ends at " + end);
            }
            if (tensor.offset() > end) {
                throw new UserError(file + ": bytes " + end + " to " + tensor.offset() + " of the data, before " + name
                        + ", belong to no tensor");
            }
            end = tensor.end();
            before = JsonText.quoted(tensor.name());
        }
        if (end != dataBytes) {
            throw new UserError(file + ": the tensors end at byte " + end + " of the data, but there are " + dataBytes
                    + ": the file is too long or its header is damaged");
        }
    }

    /** Reads the three fields of one tensor, in any order. */
    private static final class Entry {
        private final JsonReader reader;
        private final String name;
        private String dtype = "";
        private long[] shape = {-1};
        private long[] offsets = {};

        private Entry(JsonReader reader, String name) {
            this.reader = reader;
            this.name = name;
            if (name.isEmpty()) {
                throw reader.error("a tensor has no name");
            }
        }

        private TensorInfo read() {
            reader.readObject(field -> {
                switch (field) {
                    case "dtype" -> dtype = reader.readString();
                    case "shape" -> shape = readLongs(MAX_RANK, field);
                    case "data_offsets" -> offsets = readLongs(2, field);
                    default -> throw error("has the unknown field " + JsonText.quoted(field));
                }
            });
            if (!DType.isKnown(dtype)) {
                throw error(
                        dtype.isEmpty()
                                ? "has no dtype"
                                : "has dtype " + JsonText.quoted(dtype) + "; supported are " + DType.known());
            }
            if (shape.length == 1 && shape[0] == -1) {
                throw error("has no shape");
            }
            if (offsets.length != 2) {
                throw error("has no data_offsets [begin, end]");
            }
            return check(DType.valueOf(dtype));
        }

        private TensorInfo check(DType type) {
            Shape sizes;
            long bytes;
            try {
                sizes = Shape.of(shape);
                bytes = Math.multiplyExact(sizes.elements(), type.bytes());
            } catch (ArithmeticException e) {
                throw error("has a shape of more elements than 64 bits can count");
            }
            if (offsets[1] < offsets[0]) {
                throw error("has data_offsets [" + offsets[0] + ", " + offsets[1] + "], whose end is before its begin");
            }
            if (offsets[1] - offsets[0] != bytes) {
                throw error("has " + type + " " + sizes + ", so " + bytes + " bytes, but data_offsets [" + offsets[0]
                        + ", " + offsets[1] + "] span " + (offsets[1] - offsets[0]));
            }
            return new TensorInfo(name, type, sizes, offsets[0]);
        }

        /** At most {@code max} integers from 0. */
        private long[] readLongs(int max, String field) {
            long[] values = new long[max];
            int[] count = {0};
            reader.readArray(() -> {
                if (count[0] == max) {
                    throw error("has more than " + max + " numbers in " + field);
                }
                long value = reader.readLong();
                if (value < 0) {
                    throw error("has " + value + " in " + field + ": it must not be negative");
                }
                values[count[0]++] = value;
            });
            return Arrays.copyOf(values, count[0]);
        }

        private UserError error(String what) {
            return reader.error("tensor " + JsonText.quoted(name) + " " + what);
        }
    }
}
