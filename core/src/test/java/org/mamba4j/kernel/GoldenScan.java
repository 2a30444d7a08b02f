package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;

/**
 * A case of {@code golden/selective-scan.safetensors}: inputs and, from a sequential float64 recurrence in PyTorch,
 * expected outputs and gradients. The file has (B, D, L) where the kernels have (B, L, D).
 */
record GoldenScan(String name, ScanCase scan, Map<String, double[]> expected) {
    @Override
    public String toString() {
        return name + " " + scan;
    }

    static List<GoldenScan> all() {
        File file = File.read();
        List<GoldenScan> cases = new ArrayList<>();
        for (int i = 0; file.has("case" + i + ".u"); i++) {
            cases.add(read(file, "case" + i));
        }
        return cases;
    }

    private static GoldenScan read(File file, String name) {
        int[] shape = file.shape(name + ".u");
        int states = file.shape(name + ".A")[1];
        ScanCase scan = new ScanCase(
                shape[0],
                shape[2],
                shape[1],
                states,
                file.flag(name + ".softplus"),
                file.transposed(name + ".u"),
                file.transposed(name + ".delta"),
                file.floats(name + ".A"),
                file.transposed(name + ".B"),
                file.transposed(name + ".C"),
                file.floats(name + ".D"),
                file.floats(name + ".delta_bias"),
                file.transposed(name + ".z"),
                file.floats(name + ".h0"),
                file.transposed(name + ".grad_y"),
                new float[0]);
        Map<String, double[]> expected = new LinkedHashMap<>();
        expected.put("y", doubles(file.transposed(name + ".y")));
        expected.put("lastState", doubles(file.floats(name + ".h_last")));
        for (String rows : List.of("u", "delta", "B", "C", "z")) {
            put(expected, rows, file.transposed(name + ".grad_" + rows));
        }
        for (String dense : List.of("A", "D")) {
            put(expected, dense, file.floats(name + ".grad_" + dense));
        }
        put(expected, "deltaBias", file.floats(name + ".grad_delta_bias"));
        put(expected, "initialState", file.floats(name + ".grad_h0"));
        return new GoldenScan(name, scan, expected);
    }

    private static void put(Map<String, double[]> expected, String input, float[] gradient) {
        if (gradient.length > 0) {
            expected.put(
                    "grad " + (input.length() == 1 ? input.toLowerCase(java.util.Locale.ROOT) : input),
                    doubles(gradient));
        }
    }

    private static double[] doubles(float[] values) {
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }

    /** Just enough of safetensors for this file. */
    private record File(JsonObject header, MemorySegment data) {
        static File read() {
            try (InputStream in = Objects.requireNonNull(
                    GoldenScan.class.getResourceAsStream("/golden/selective-scan.safetensors"))) {
                byte[] bytes = in.readAllBytes();
                int size = (int)
                        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
                String header = new String(bytes, 8, size, StandardCharsets.UTF_8);
                MemorySegment data = MemorySegment.ofArray(bytes).asSlice(8L + size);
                return new File((JsonObject) Json.parse(header.getBytes(StandardCharsets.UTF_8), "golden"), data);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        boolean has(String name) {
            return header.has(name);
        }

        private int[] longs(String name, String field) {
            JsonObject tensor =
                    (JsonObject) Objects.requireNonNull(header.fields().get(name));
            JsonArray values =
                    (JsonArray) Objects.requireNonNull(tensor.fields().get(field));
            return values.values().stream()
                    .mapToInt(value -> (int) ((JsonNumber) value).longValue())
                    .toArray();
        }

        int[] shape(String name) {
            return longs(name, "shape");
        }

        boolean flag(String name) {
            return data.get(JAVA_BYTE, longs(name, "data_offsets")[0]) == 1;
        }

        float[] floats(String name) {
            if (!has(name)) {
                return new float[0];
            }
            int[] range = longs(name, "data_offsets");
            return data.asSlice(range[0], range[1] - range[0]).toArray(JAVA_FLOAT_UNALIGNED);
        }

        /** (B, C, L) as (B, L, C). */
        float[] transposed(String name) {
            float[] from = floats(name);
            if (from.length == 0) {
                return from;
            }
            int[] shape = shape(name);
            float[] to = new float[from.length];
            for (int b = 0; b < shape[0]; b++) {
                for (int c = 0; c < shape[1]; c++) {
                    for (int t = 0; t < shape[2]; t++) {
                        to[(b * shape[2] + t) * shape[1] + c] = from[(b * shape[1] + c) * shape[2] + t];
                    }
                }
            }
            return to;
        }
    }
}
