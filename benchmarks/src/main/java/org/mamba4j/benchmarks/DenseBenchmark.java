package org.mamba4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.PlainDense;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.kernel.Workers;
import org.mamba4j.kernel.vector.VectorDense;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The product of a stored matrix (8192, 768) with tokens, and the norm of a residual stream. {@code -jvmArgsAppend
 * -Dmamba4j.vectorBits=128} or 256 for other widths than the machine's own.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 1)
public class DenseBenchmark {
    private static final int ROWS = 8192;
    private static final int COLUMNS = 768;
    private static final long SEED = 11;

    /** How the weights are stored. */
    @Param({"F32", "BF16", "F16", "Q8", "Q4"})
    public WeightFormat format = WeightFormat.F32;

    /** Tokens. */
    @Param({"1", "64"})
    public int length;

    /** Threads of the kernels. */
    @Param("1")
    public int threads;

    private final Arena arena = Arena.ofShared();
    private Runnable multiply = () -> {};
    private Runnable norm = () -> {};

    /** Compares 256 rows of the product, and the norm, with the plain kernels. */
    @Setup
    public void setUp() {
        SplittableRandom random = new SplittableRandom(SEED);
        DenseKernels kernels = new VectorDense(new Workers(threads));
        MemorySegment data = stored(random);
        Matrix matrix = new Matrix(data, format, ROWS, COLUMNS);
        Rows x = rows(random, COLUMNS);
        Rows y = rows(random, ROWS);
        Matrix part = new Matrix(data.asSlice(0, 256 * matrix.rowBytes()), format, 256, COLUMNS);
        Rows expected = rows(random, 256);
        Rows actual = rows(random, 256);
        new PlainDense().multiply(part, x, MemorySegment.NULL, expected);
        kernels.multiply(part, x, MemorySegment.NULL, actual);
        Answers.assertClose("product", actual.memory(), expected.memory());

        MemorySegment weight = rows(random, COLUMNS).memory().asSlice(0, 4L * COLUMNS);
        Rows normed = rows(random, COLUMNS);
        Rows reference = rows(random, COLUMNS);
        new PlainDense().addNorm(x, Rows.ABSENT, weight, 1e-5f, reference);
        kernels.addNorm(x, Rows.ABSENT, weight, 1e-5f, normed);
        Answers.assertClose("norm", normed.memory(), reference.memory());
        multiply = () -> kernels.multiply(matrix, x, MemorySegment.NULL, y);
        norm = () -> kernels.addNorm(x, Rows.ABSENT, weight, 1e-5f, normed);
    }

    private Rows rows(SplittableRandom random, int columns) {
        MemorySegment memory = arena.allocate(4L * length * columns, 64);
        for (long i = 0; i < (long) length * columns; i++) {
            memory.setAtIndex(JAVA_FLOAT_UNALIGNED, i, (float) random.nextGaussian());
        }
        return Rows.dense(memory, 1, length, columns);
    }

    private MemorySegment stored(SplittableRandom random) {
        float[] values = new float[ROWS * COLUMNS];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        MemorySegment memory = arena.allocate(format.bytes(values.length), 64);
        if (format.isQuantised()) {
            format.quantise(values, memory);
            return memory;
        }
        for (int i = 0; i < values.length; i++) {
            switch (format) {
                case F32 -> memory.set(JAVA_FLOAT_UNALIGNED, 4L * i, values[i]);
                case BF16 ->
                    memory.set(JAVA_SHORT_UNALIGNED, 2L * i, (short) (Float.floatToRawIntBits(values[i]) >>> 16));
                default -> memory.set(JAVA_SHORT_UNALIGNED, 2L * i, Float.floatToFloat16(values[i]));
            }
        }
        return memory;
    }

    @TearDown
    public void tearDown() {
        arena.close();
    }

    /** W x of all tokens. */
    @Benchmark
    public void multiply() {
        multiply.run();
    }

    /** The norm of all tokens. */
    @Benchmark
    public void norm() {
        norm.run();
    }
}
