package org.mamba4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.ConvGradients;
import org.mamba4j.kernel.PlainKernels;
import org.mamba4j.kernel.Rows;
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

/** The causal convolution of one layer of the 130 M model: B = 1, L = 2048, D = 1536, K = 4, bias and silu. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 3)
@Measurement(iterations = 5, time = 3)
public class ConvBenchmark {
    private static final int LENGTH = 2048;
    private static final int CHANNELS = 1536;
    private static final int WIDTH = 4;

    /** Threads of the kernels. */
    @Param("2")
    public int threads;

    private final Arena arena = Arena.ofShared();
    private final Random random = new Random(1);
    private SequenceKernels kernels = new PlainKernels();
    private final Rows x = rows();
    private final Rows gradY = rows();
    private final MemorySegment weight = dense(CHANNELS * WIDTH);
    private final MemorySegment bias = dense(CHANNELS);
    private final ConvArguments arguments = arguments();
    private final ConvGradients gradients = gradients();

    /** Compares output and gradients with the plain kernels. */
    @Setup
    public void setUp() {
        kernels = new VectorKernels(new Workers(threads));
        kernels.convForward(arguments);
        kernels.convBackward(arguments, gradients);
        ConvArguments expected = arguments();
        ConvGradients expectedGradients = gradients();
        new PlainKernels().convForward(expected);
        new PlainKernels().convBackward(expected, expectedGradients);
        Answers.assertClose("y", arguments.y().memory(), expected.y().memory());
        Answers.assertClose(
                "gradient of x", gradients.x().memory(), expectedGradients.x().memory());
        Answers.assertClose("gradient of weight", gradients.weight(), expectedGradients.weight());
        Answers.assertClose("gradient of bias", gradients.bias(), expectedGradients.bias());
    }

    @TearDown
    public void tearDown() {
        arena.close();
    }

    @Benchmark
    public void forward() {
        kernels.convForward(arguments);
    }

    @Benchmark
    public void backward() {
        kernels.convBackward(arguments, gradients);
    }

    private ConvArguments arguments() {
        return ConvArguments.builder()
                .x(x)
                .weight(weight)
                .bias(bias)
                .silu(true)
                .y(rows())
                .build();
    }

    private ConvGradients gradients() {
        return ConvGradients.builder()
                .y(gradY)
                .x(rows())
                .weight(dense(CHANNELS * WIDTH))
                .bias(dense(CHANNELS))
                .build();
    }

    private Rows rows() {
        return Rows.dense(dense(LENGTH * CHANNELS), 1, LENGTH, CHANNELS);
    }

    private MemorySegment dense(int size) {
        MemorySegment memory = arena.allocate(4L * size, 64);
        for (int i = 0; i < size; i++) {
            memory.setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian());
        }
        return memory;
    }
}
