package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.mamba4j.checkpoint.SafetensorsFile;

/**
 * A case of {@code golden/selective-scan.safetensors}: inputs and, from a sequential float64 recurrence in PyTorch,
 * expected outputs and gradients. The file has (B, D, L) where the kernels have (B, L, D).
 */
record GoldenScan(String name, ScanCase scan, Map<String, ExactSums> expected) {
    @Override
    public String toString() {
        return name + " " + scan;
    }

    static List<GoldenScan> all() {
        try (File file = File.open()) {
            List<GoldenScan> cases = new ArrayList<>();
            for (int i = 0; file.has("case" + i + ".u"); i++) {
                cases.add(read(file, "case" + i));
            }
            return cases;
        }
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
                new float[0],
                new boolean[0]);
        Map<String, ExactSums> expected = new LinkedHashMap<>();
        expected.put("y", ExactSums.of(doubles(file.transposed(name + ".y"))));
        expected.put("lastState", ExactSums.of(doubles(file.floats(name + ".h_last"))));
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

    private static void put(Map<String, ExactSums> expected, String input, float[] gradient) {
        if (gradient.length > 0) {
            expected.put(
                    "grad " + (input.length() == 1 ? input.toLowerCase(Locale.ROOT) : input),
                    ExactSums.of(doubles(gradient)));
        }
    }

    private static double[] doubles(float[] values) {
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }

    /** What a case wants of the file: an absent optional tensor is an empty array. */
    private record File(SafetensorsFile file) implements AutoCloseable {
        /** The resource may be inside a jar, so it is copied out to be mapped. */
        static File open() {
            try (InputStream in = Objects.requireNonNull(
                    GoldenScan.class.getResourceAsStream("/golden/selective-scan.safetensors"))) {
                Path copy = Files.createTempFile("selective-scan", ".safetensors");
                Files.copy(in, copy, StandardCopyOption.REPLACE_EXISTING);
                copy.toFile().deleteOnExit();
                return new File(SafetensorsFile.open(copy));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        boolean has(String name) {
            return file.has(name);
        }

        int[] shape(String name) {
            long[] sizes = file.info(name).shape().toArray();
            return Arrays.stream(sizes).mapToInt(Math::toIntExact).toArray();
        }

        boolean flag(String name) {
            return file.data(name).get(JAVA_BYTE, 0) == 1;
        }

        float[] floats(String name) {
            return has(name) ? file.floats(name) : new float[0];
        }

        @Override
        public void close() {
            file.close();
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
