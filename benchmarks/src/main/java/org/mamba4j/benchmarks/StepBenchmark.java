package org.mamba4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.PlainKernels;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.kernel.Workers;
import org.mamba4j.kernel.vector.VectorKernels;
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

/** Scan and convolution of one generated token in a layer of the 130 M model, D = 1536, N = 16, K = 4. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 1)
public class StepBenchmark {
    private static final int CHANNELS = 1536;
    private static final int STATES = 16;
    private static final int WIDTH = 4;
    private static final long SEED = 5;

    /** Threads of the kernels. */
    @Param({"1", "2"})
    public int threads;

    private final Arena arena = Arena.ofShared();
    private Runnable scan = () -> {};
    private Runnable conv = () -> {};

    /** Compares outputs and states with the plain kernels. */
    @Setup
    public void setUp() {
        SequenceKernels kernels = new VectorKernels(new Workers(threads));
        SequenceKernels plain = new PlainKernels();
        ScanArguments expected = scanArguments();
        ScanArguments actual = scanArguments();
        plain.scanForward(expected);
        kernels.scanForward(actual);
        Answers.assertClose("y of the scan", actual.y().memory(), expected.y().memory());
        Answers.assertClose("state of the scan", actual.lastState(), expected.lastState());
        ConvArguments wanted = convArguments();
        ConvArguments got = convArguments();
        plain.convForward(wanted);
        kernels.convForward(got);
        Answers.assertClose("y of the convolution", got.y().memory(), wanted.y().memory());
        Answers.assertClose("state of the convolution", got.lastState(), wanted.lastState());
        scan = () -> kernels.scanForward(actual);
        conv = () -> kernels.convForward(got);
    }

    private MemorySegment random(int count, double shift, double scale) {
        SplittableRandom random = new SplittableRandom(SEED + count);
        MemorySegment memory = arena.allocate(4L * count, 64);
        for (int i = 0; i < count; i++) {
            memory.setAtIndex(JAVA_FLOAT_UNALIGNED, i, (float) (shift + scale * random.nextGaussian()));
        }
        return memory;
    }

    private Rows row(int count) {
        return Rows.dense(random(count, 0, 1), 1, 1, count);
    }

    private ScanArguments scanArguments() {
        return ScanArguments.builder()
                .u(row(CHANNELS))
                .delta(row(CHANNELS))
                .a(random(CHANNELS * STATES, -2, 0.3))
                .b(row(STATES))
                .c(row(STATES))
                .d(random(CHANNELS, 1, 0.1))
                .deltaBias(random(CHANNELS, -3, 0.5))
                .softplus(true)
                .z(row(CHANNELS))
                .initialState(random(CHANNELS * STATES, 0, 1))
                .lastState(arena.allocate(4L * CHANNELS * STATES, 64))
                .y(Rows.dense(arena.allocate(4L * CHANNELS, 64), 1, 1, CHANNELS))
                .build();
    }

    private ConvArguments convArguments() {
        return ConvArguments.builder()
                .x(row(CHANNELS))
                .weight(random(CHANNELS * WIDTH, 0, 0.5))
                .bias(random(CHANNELS, 0, 0.1))
                .silu(true)
                .initialState(random(CHANNELS * (WIDTH - 1), 0, 1))
                .lastState(arena.allocate(4L * CHANNELS * (WIDTH - 1), 64))
                .y(Rows.dense(arena.allocate(4L * CHANNELS, 64), 1, 1, CHANNELS))
                .build();
    }

    @TearDown
    public void tearDown() {
        arena.close();
    }

    /** softplus, recurrence, read-out and gate. */
    @Benchmark
    public void scan() {
        scan.run();
    }

    /** Sums and silu. */
    @Benchmark
    public void convolution() {
        conv.run();
    }
}
