package org.mamba4j.benchmarks;

import java.lang.foreign.Arena;
import java.util.concurrent.TimeUnit;
import org.mamba4j.kernel.PlainKernels;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.ScanGradients;
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

/** The selective scan of one layer of the 130 M model, B = 1, D = 1536, N = 16, with z, D, bias and softplus. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 5)
@Measurement(iterations = 5, time = 3)
public class ScanBenchmark {
    private static final int CHANNELS = 1536;
    private static final int STATES = 16;
    private static final int CHECKED = 2048;

    /** L. */
    @Param("2048")
    public int length;

    /** Threads of the kernels. */
    @Param("2")
    public int threads;

    private final Arena arena = Arena.ofShared();
    private Runnable forward = () -> {};
    private Runnable backward = () -> {};

    /** Compares outputs and all gradients of the first 2048 steps with the plain kernels. */
    @Setup
    public void setUp() {
        SequenceKernels kernels = new VectorKernels(new Workers(threads));
        ScanProblem problem = new ScanProblem(arena, length, CHANNELS, STATES);
        problem.check(kernels, new PlainKernels(), Math.min(length, CHECKED));
        ScanArguments arguments = problem.arguments(kernels, length);
        ScanGradients gradients = problem.gradients(arguments);
        forward = () -> kernels.scanForward(arguments);
        backward = () -> kernels.scanBackward(arguments, gradients);
        // The backward pass reads the checkpoints of a forward pass.
        forward.run();
    }

    @TearDown
    public void tearDown() {
        arena.close();
    }

    /** y, last state and checkpoints. */
    @Benchmark
    public void forward() {
        forward.run();
    }

    /** All gradients, from the checkpoints. */
    @Benchmark
    public void backward() {
        backward.run();
    }
}
