package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.mamba4j.kernel.Closeness.assertClose;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mamba4j.TestSeed;
import org.mamba4j.kernel.GuardedMemory.Layout;

/** Products and norms: the same contract for the reference and every width of vectors. */
class DenseKernelsTest {
    private static final Workers WORKERS = new Workers(3);
    private static final List<Layout> LAYOUTS = List.of(Layout.values());

    @Nested
    class Plain extends Contract {
        @Override
        DenseKernels kernels() {
            return new PlainDense();
        }
    }

    @Nested
    class Vector128 extends Contract {
        @Override
        DenseKernels kernels() {
            return VectorWidths.dense(128, WORKERS);
        }
    }

    @Nested
    class Vector256 extends Contract {
        @Override
        DenseKernels kernels() {
            return VectorWidths.dense(256, WORKERS);
        }
    }

    @Nested
    class Vector512 extends Contract {
        @Override
        DenseKernels kernels() {
            return VectorWidths.dense(512, WORKERS);
        }

        @Test
        void theNumberOfThreadsChangesNoBit() {
            Random random = new Random(5);
            float[] weights = ScanCase.normal(random, 700 * 513, 1);
            float[] x = ScanCase.normal(random, 9 * 513, 1);
            float[] expected = product(VectorWidths.dense(512, new Workers(1)), WeightFormat.F32, weights, x, 700, 9);
            for (int threads : new int[] {2, 5}) {
                assertThat(product(VectorWidths.dense(512, new Workers(threads)), WeightFormat.F32, weights, x, 700, 9))
                        .isEqualTo(expected);
            }
        }
    }

    private static MemorySegment store(Arena arena, WeightFormat format, float[] values) {
        if (format.isQuantised()) {
            MemorySegment quantised =
                    arena.allocate(format.bytes(values.length) + 3).asSlice(3);
            format.quantise(values, quantised);
            return quantised;
        }
        MemorySegment memory = arena.allocate(format.bytes(values.length) + 3).asSlice(3); // aligned to nothing
        for (int i = 0; i < values.length; i++) {
            switch (format) {
                case F32 -> memory.set(JAVA_FLOAT_UNALIGNED, 4L * i, values[i]);
                case BF16 ->
                    memory.set(JAVA_SHORT_UNALIGNED, 2L * i, (short) (Float.floatToRawIntBits(values[i]) >>> 16));
                case F16 -> memory.set(JAVA_SHORT_UNALIGNED, 2L * i, Float.floatToFloat16(values[i]));
                case Q8, Q4 -> throw new AssertionError(format);
            }
        }
        return memory;
    }

    private static float[] product(
            DenseKernels kernels, WeightFormat format, float[] weights, float[] x, int rows, int length) {
        return product(kernels, format, weights, x, new float[0], rows, length, Layout.DENSE);
    }

    private static float[] product(
            DenseKernels kernels,
            WeightFormat format,
            float[] weights,
            float[] x,
            float[] bias,
            int rows,
            int length,
            Layout layout) {
        int columns = weights.length / Math.max(1, rows);
        try (Arena arena = Arena.ofShared();
                GuardedMemory memory = new GuardedMemory(layout)) {
            Matrix matrix = new Matrix(store(arena, format, weights), format, rows, columns);
            Rows y = memory.output(1, length, rows);
            kernels.multiply(matrix, memory.input(x, 1, length, columns), memory.input(bias), y);
            memory.check();
            return GuardedMemory.read(y);
        }
    }

    abstract static class Contract {
        abstract DenseKernels kernels();

        @ParameterizedTest
        @EnumSource(WeightFormat.class)
        void productsOfAllSizes(WeightFormat format) {
            Random random = new Random(TestSeed.of("products of " + format));
            int[] sizes = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 130};
            for (int i = 0; i < 60; i++) {
                int rows = sizes[random.nextInt(sizes.length)];
                int any = sizes[random.nextInt(sizes.length)];
                int columns = format.isQuantised() ? WeightFormat.BLOCK * (1 + any % 5) : any;
                int length = sizes[random.nextInt(10)];
                check(random, format, rows, columns, length, LAYOUTS.get(i % LAYOUTS.size()));
            }
            int odd = format.isQuantised() ? 0 : 13;
            check(random, format, 3, 4992 + odd, 2, Layout.DENSE);
            check(random, format, 1001, 64 + odd, 1, Layout.DENSE);
            for (int four : format.isQuantised() ? new int[] {32, 64} : new int[] {16, 32, 64}) {
                check(random, format, 257, four, 1, Layout.SLICED); // four vectors of 128, 256 and 512 bits
            }
            check(random, format, 300, 288 + odd, 6, Layout.SLICED);
            check(random, format, 5, 32 + odd, 0, Layout.DENSE);
            check(random, format, 0, 32 + odd, 2, Layout.DENSE);
        }

        private void check(Random random, WeightFormat format, int rows, int columns, int length, Layout layout) {
            float[] weights = ScanCase.normal(random, rows * columns, 1);
            float[] x = ScanCase.normal(random, length * columns, 1);
            float[] bias = random.nextBoolean() ? ScanCase.normal(random, rows, 1) : new float[0];
            float[] y = product(kernels(), format, weights, x, bias, rows, length, layout);
            ExactSums expected = new ExactSums(length * rows);
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment stored = store(arena, format, weights);
                for (int t = 0; t < length; t++) {
                    for (int r = 0; r < rows; r++) {
                        int i = t * rows + r;
                        expected.add(i, bias.length == 0 ? 0 : bias[r]);
                        for (int k = 0; k < columns; k++) {
                            expected.add(i, (double) format.get(stored, (long) r * columns + k) * x[t * columns + k]);
                        }
                    }
                }
            }
            String what = format + " (" + rows + ", " + columns + ") of " + length;
            Comparison.USUAL.check(what, "y", y, expected);
        }

        @ParameterizedTest
        @EnumSource(WeightFormat.class)
        void aTokenGetsTheSameBitsAloneAndInCompany(WeightFormat format) {
            Random random = new Random(3);
            for (int rows : new int[] {1, 6, 37}) {
                for (int columns : format.isQuantised() ? new int[] {32, 96} : new int[] {5, 16, 32, 64, 83}) {
                    float[] weights = ScanCase.normal(random, rows * columns, 1);
                    float[] x = ScanCase.normal(random, 11 * columns, 1);
                    float[] all = product(kernels(), format, weights, x, rows, 11);
                    for (int t = 0; t < 11; t++) {
                        float[] one = Arrays.copyOfRange(x, t * columns, (t + 1) * columns);
                        assertThat(product(kernels(), format, weights, one, rows, 1))
                                .isEqualTo(Arrays.copyOfRange(all, t * rows, (t + 1) * rows));
                    }
                }
            }
        }

        /** 1 times each number, so that the product is the number. */
        @ParameterizedTest
        @EnumSource(
                value = WeightFormat.class,
                names = {"F16", "BF16"})
        void everyStoredNumberIsReadExactly(WeightFormat format) {
            try (Arena arena = Arena.ofShared()) {
                MemorySegment bits = arena.allocate(2 << 16);
                for (int i = 0; i < 1 << 16; i++) {
                    bits.set(JAVA_SHORT_UNALIGNED, 2L * i, (short) i);
                }
                // A column of ones is followed by enough zeros that the number is read in a vector, too.
                for (int columns : new int[] {1, 64}) {
                    MemorySegment data = arena.allocate((2L * columns) << 16);
                    for (int i = 0; i < 1 << 16; i++) {
                        data.set(JAVA_SHORT_UNALIGNED, 2L * i * columns, (short) i);
                    }
                    Matrix matrix = new Matrix(data, format, 1 << 16, columns);
                    Rows x = Rows.dense(arena.allocate(4L * columns), 1, 1, columns);
                    x.set(0, 0, 0, 1);
                    Rows y = Rows.dense(arena.allocate(4 << 16), 1, 1, 1 << 16);
                    kernels().multiply(matrix, x, MemorySegment.NULL, y);
                    for (int i = 0; i < 1 << 16; i++) {
                        // +0 and -0 are one, and so are all NaN.
                        assertThat(Float.valueOf(y.get(0, 0, i) + 0f))
                                .isEqualTo(Float.valueOf(format.get(bits, i) + 0f));
                    }
                }
            }
        }

        @ParameterizedTest
        @EnumSource(
                value = WeightFormat.class,
                names = {"Q8", "Q4"})
        void quantisedNumbersAreWithinHalfAStepAndReadAlike(WeightFormat format) {
            Random random = new Random(6);
            float[] values = ScanCase.normal(random, 40 * 64, 1);
            Arrays.fill(values, 0, 32, 0); // a block without a scale
            Arrays.fill(values, 64, 96, -3e-3f);
            float[] identity = new float[64 * 64];
            for (int i = 0; i < 64; i++) {
                identity[i * 64 + i] = 1;
            }
            float[] read =
                    product(kernels(), format, values, identity, 40, 64); // (64, 40): a column of W for each token
            for (int i = 0; i < values.length; i++) {
                float greatest = 0;
                for (int k = i / 32 * 32; k < i / 32 * 32 + 32; k++) {
                    greatest = Math.max(greatest, Math.abs(values[k]));
                }
                // Half a step of the scale, a whole one where 4 bits cannot reach the other end, and the scale's
                // rounding.
                double allowed = format == WeightFormat.Q8 ? greatest / 127 * 0.52 : greatest / 8 * 1.01;
                assertThat((double) read[i % 64 * 40 + i / 64])
                        .as("%s %d", format, i)
                        .isCloseTo(values[i], within(allowed + 6e-8));
            }
            values[5] = Float.NaN;
            assertThatThrownBy(() -> product(kernels(), format, values, identity, 40, 64))
                    .hasMessage("a weight is NaN");
        }

        @Test
        void normsOfAllSizes() {
            Random random = new Random(7);
            for (int columns : new int[] {1, 3, 15, 16, 17, 64, 83, 768}) {
                for (int length : new int[] {0, 1, 31, 33, 65}) {
                    for (boolean adds : new boolean[] {false, true}) {
                        checkNorm(random, columns, length, adds);
                    }
                }
            }
        }

        private void checkNorm(Random random, int columns, int length, boolean adds) {
            float[] x = ScanCase.normal(random, length * columns, 1);
            float[] added = ScanCase.normal(random, adds ? length * columns : 0, 1);
            float[] weight = ScanCase.normal(random, columns, 1);
            double[] sum = new double[x.length];
            double[] expected = new double[x.length];
            for (int t = 0; t < length; t++) {
                double squares = 0;
                for (int i = t * columns; i < (t + 1) * columns; i++) {
                    sum[i] = x[i] + (adds ? added[i] : 0);
                    squares += sum[i] * sum[i];
                }
                for (int c = 0; c < columns; c++) {
                    expected[t * columns + c] = sum[t * columns + c] / Math.sqrt(squares / columns + 1e-3) * weight[c];
                }
            }
            try (GuardedMemory memory = new GuardedMemory(Layout.SLICED)) {
                Rows stream = memory.output(1, length, columns);
                for (int i = 0; i < x.length; i++) {
                    stream.set(0, i / columns, i % columns, x[i]);
                }
                Rows y = memory.output(1, length, columns);
                Rows more = adds ? memory.input(added, 1, length, columns) : Rows.ABSENT;
                kernels().addNorm(stream, more, memory.input(weight), 1e-3f, y);
                memory.check();
                assertClose("norm", GuardedMemory.read(y), expected, 1e-5);
                assertClose("sum", GuardedMemory.read(stream), sum, 1e-6);
            }
        }

        @ParameterizedTest
        @EnumSource(Activation.class)
        void functionsOfAllSizes(Activation function) {
            float[] special = {0, -0f, 1e-6f, -1e-6f, 0.5f, -3, 15, -15, 40, -40, 87, -87, 1000, -1000};
            Random random = new Random(8);
            for (int columns : new int[] {1, 14, 16, 31, 64, 83}) {
                for (int length : new int[] {0, 1, 5}) {
                    float[] x = ScanCase.normal(random, length * columns, 3);
                    for (int i = 0; i < Math.min(x.length, special.length); i++) {
                        x[i] = special[i];
                    }
                    double[] expected = new double[x.length];
                    for (int i = 0; i < x.length; i++) {
                        expected[i] = function.of(x[i]);
                    }
                    try (GuardedMemory memory = new GuardedMemory(Layout.SLICED)) {
                        Rows rows = memory.output(1, length, columns);
                        for (int i = 0; i < x.length; i++) {
                            rows.set(0, i / columns, i % columns, x[i]);
                        }
                        kernels().activate(function, rows);
                        memory.check();
                        float[] actual = GuardedMemory.read(rows);
                        for (int i = 0; i < x.length; i++) {
                            assertThat((double) actual[i])
                                    .as("%s(%s)", function, x[i])
                                    .isCloseTo(expected[i], within(3e-7 * Math.max(1, Math.abs(expected[i]))));
                        }
                    }
                }
            }
        }

        @Test
        void attentionOverTablesOfAllSizes() {
            Random random = new Random(9);
            for (int width : new int[] {1, 5, 16, 32, 64, 67}) {
                for (int[] counts : new int[][] {{0}, {1}, {3, 0, 2}, {50}, {50, 17, 33}, {128, 2}, {1, 131}}) {
                    for (int length : new int[] {0, 1, 35}) {
                        checkAttention(random, width, counts, length);
                    }
                }
            }
        }

        /** Attention written as one table of all notes, in double precision. */
        private void checkAttention(Random random, int width, int[] counts, int length) {
            try (GuardedMemory memory = new GuardedMemory(Layout.SLICED)) {
                float[] queries = ScanCase.normal(random, length * width, 3);
                List<NoteTable> tables = new ArrayList<>();
                List<float[]> notes = new ArrayList<>();
                List<Float> biases = new ArrayList<>();
                for (int count : counts) {
                    int places = count + random.nextInt(4); // what stands in empty places must not matter
                    float[] summaries = ScanCase.normal(random, (places + 1) * width, 1);
                    float[] bias = ScanCase.normal(random, places + 1, 3);
                    NoteTable table = new NoteTable(
                            memory.input(summaries, 1, places + 1, width), memory.input(bias, 1, 1, places + 1));
                    table.setCount(count);
                    tables.add(table);
                    for (int j = 0; j < count; j++) {
                        notes.add(Arrays.copyOfRange(summaries, j * width, (j + 1) * width));
                        biases.add(bias[j]);
                    }
                }
                Rows read = memory.output(1, length, width);
                Rows missed = memory.output(1, length, 1);
                kernels().attend(memory.input(queries, 1, length, width), tables, 0.3f, 1.5f, read, missed);
                memory.check();
                double[] expectedRead = new double[length * width];
                double[] expectedMissed = new double[length];
                for (int t = 0; t < length; t++) {
                    double total = Math.exp(1.5);
                    for (int j = 0; j < notes.size(); j++) {
                        double product = 0;
                        for (int c = 0; c < width; c++) {
                            product += (double) queries[t * width + c] * notes.get(j)[c];
                        }
                        double weight = Math.exp(0.3f * product + biases.get(j));
                        total += weight;
                        for (int c = 0; c < width; c++) {
                            expectedRead[t * width + c] += weight * notes.get(j)[c];
                        }
                    }
                    for (int c = 0; c < width; c++) {
                        expectedRead[t * width + c] /= total;
                    }
                    expectedMissed[t] = Math.exp(1.5) / total;
                }
                assertClose("read", GuardedMemory.read(read), expectedRead, 1e-5);
                assertClose("missed", GuardedMemory.read(missed), expectedMissed, 1e-5);
            }
        }

        @Test
        void whatDoesNotFitIsNamed() {
            try (Arena arena = Arena.ofConfined()) {
                Matrix matrix = new Matrix(arena.allocate(4 * 15), WeightFormat.F32, 3, 5);
                Rows x = Rows.dense(arena.allocate(4 * 10), 1, 2, 5);
                Rows y = Rows.dense(arena.allocate(4 * 6), 1, 2, 3);
                assertThatThrownBy(() -> kernels().multiply(matrix, y, MemorySegment.NULL, x))
                        .hasMessage("matrix product: x has shape (1, 2, 3), expected (1, 2, 5)");
                assertThatThrownBy(() -> kernels().multiply(matrix, x, MemorySegment.NULL, y.steps(0, 1)))
                        .hasMessage("matrix product: y has shape (1, 1, 3), expected (1, 2, 3)");
                assertThatThrownBy(() -> kernels().multiply(matrix, x, arena.allocate(8), y))
                        .hasMessage("matrix product: bias holds 8 bytes, expected 12 for shape (3)");
                assertThatThrownBy(() -> kernels().addNorm(x, Rows.ABSENT, arena.allocate(8), 1e-5f, x))
                        .hasMessage("norm: weight holds 8 bytes, expected 20 for shape (5)");
                NoteTable table = new NoteTable(x, Rows.dense(arena.allocate(8), 1, 1, 2));
                assertThatThrownBy(() -> kernels().attend(y, List.of(table), 1, 0, y, x))
                        .hasMessage("attention: missed has shape (1, 2, 5), expected (1, 2, 1)");
                assertThatThrownBy(() -> kernels().attend(y, List.of(), 1, 0, y, y.columns(0, 1)))
                        .hasMessage("attention: there is no table of notes");
                assertThatThrownBy(() -> kernels().attend(y, List.of(table), 1, 0, y, y.columns(0, 1)))
                        .hasMessage("attention: table 0 has notes of 5 numbers, expected 3");
                assertThatThrownBy(() -> new Matrix(arena.allocate(4), WeightFormat.F16, 3, 5))
                        .hasMessageContaining("F16 matrix (3, 5) is 30 bytes of native memory, not 4");
                assertThatThrownBy(() -> new Matrix(MemorySegment.ofArray(new byte[30]), WeightFormat.F16, 3, 5))
                        .hasMessageContaining("on the Java heap");
            }
        }
    }
}
