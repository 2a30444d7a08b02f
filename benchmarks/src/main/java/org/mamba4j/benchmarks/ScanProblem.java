package org.mamba4j.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.function.DoubleSupplier;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.ScanGradients;
import org.mamba4j.kernel.SequenceKernels;

/**
 * The scan of one Mamba layer with random inputs, B = 1, every optional input but the initial state, B, C and z in slices
 * of wider arrays as the model has them; and room for its outputs and gradients, once per implementation that runs it.
 */
final class ScanProblem {
    private static final int DT_RANK = 48;

    private final Arena arena;
    private final ScanArguments inputs;
    private final Rows gradY;

    ScanProblem(Arena arena, int length, int channels, int states) {
        this.arena = arena;
        Random random = new Random(1);
        int projected = DT_RANK + 2 * states;
        Rows bc = rows(length, projected, random::nextGaussian);
        this.inputs = ScanArguments.builder()
                .u(rows(length, channels, random::nextGaussian))
                .delta(rows(length, channels, random::nextGaussian))
                .a(dense((long) channels * states, () -> -Math.exp(3 * random.nextDouble())))
                .b(bc.columns(DT_RANK, states))
                .c(bc.columns(DT_RANK + states, states))
                .d(dense(channels, random::nextGaussian))
                .deltaBias(dense(channels, () -> random.nextGaussian() - 4))
                .z(rows(length, 2 * channels, random::nextGaussian).columns(channels, channels))
                .softplus(true)
                .build();
        this.gradY = rows(length, channels, random::nextGaussian);
    }

    /** The first {@code length} steps on these kernels: arguments with an output and checkpoints of their own. */
    ScanArguments arguments(SequenceKernels kernels, int length) {
        int channels = inputs.channels();
        int states = inputs.states();
        return ScanArguments.builder()
                .u(inputs.u().steps(0, length))
                .delta(inputs.delta().steps(0, length))
                .a(inputs.a())
                .b(inputs.b().steps(0, length))
                .c(inputs.c().steps(0, length))
                .d(inputs.d())
                .deltaBias(inputs.deltaBias())
                .z(inputs.z().steps(0, length))
                .softplus(true)
                .y(rows(length, channels, () -> 0))
                .lastState(dense((long) channels * states, () -> 0))
                .checkpoints(arena.allocate(kernels.scanCheckpointBytes(1, length, channels, states), 64))
                .build();
    }

    /** Room for all gradients of {@code arguments}. */
    ScanGradients gradients(ScanArguments arguments) {
        int length = arguments.length();
        int channels = arguments.channels();
        int states = arguments.states();
        return ScanGradients.builder()
                .y(gradY.steps(0, length))
                .u(rows(length, channels, () -> 0))
                .delta(rows(length, channels, () -> 0))
                .a(dense((long) channels * states, () -> 0))
                .b(rows(length, states, () -> 0))
                .c(rows(length, states, () -> 0))
                .d(dense(channels, () -> 0))
                .deltaBias(dense(channels, () -> 0))
                .z(rows(length, channels, () -> 0))
                .build();
    }

    /** Runs the first {@code length} steps on both and fails unless outputs and gradients agree. */
    void check(SequenceKernels actual, SequenceKernels reference, int length) {
        ScanArguments a = arguments(actual, length);
        ScanArguments e = arguments(reference, length);
        actual.scanForward(a);
        reference.scanForward(e);
        ScanGradients ga = gradients(a);
        ScanGradients ge = gradients(e);
        actual.scanBackward(a, ga);
        reference.scanBackward(e, ge);
        Answers.assertClose("y", a.y().memory(), e.y().memory());
        Answers.assertClose("last state", a.lastState(), e.lastState());
        Answers.assertClose("gradient of u", ga.u().memory(), ge.u().memory());
        Answers.assertClose("gradient of delta", ga.delta().memory(), ge.delta().memory());
        Answers.assertClose("gradient of A", ga.a(), ge.a());
        Answers.assertClose("gradient of B", ga.b().memory(), ge.b().memory());
        Answers.assertClose("gradient of C", ga.c().memory(), ge.c().memory());
        Answers.assertClose("gradient of D", ga.d(), ge.d());
        Answers.assertClose("gradient of the bias", ga.deltaBias(), ge.deltaBias());
        Answers.assertClose("gradient of z", ga.z().memory(), ge.z().memory());
    }

    private Rows rows(int length, int channels, DoubleSupplier values) {
        return Rows.dense(dense((long) length * channels, values), 1, length, channels);
    }

    private MemorySegment dense(long size, DoubleSupplier values) {
        MemorySegment memory = arena.allocate(4 * size, 64);
        for (long i = 0; i < size; i++) {
            memory.setAtIndex(JAVA_FLOAT, i, (float) values.getAsDouble());
        }
        return memory;
    }
}
