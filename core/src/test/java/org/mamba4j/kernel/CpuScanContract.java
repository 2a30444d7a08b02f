package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.kernel.GuardedMemory.Layout;

/** {@link SelectiveScanContract} for {@link SequenceKernels}, with what only concerns how they use memory. */
abstract class CpuScanContract extends SelectiveScanContract {
    protected abstract SequenceKernels kernels();

    @Override
    protected Set<ScanCase.Option> options(Set<ScanCase.Option> wanted) {
        return wanted.stream()
                .filter(option -> option != ScanCase.Option.RESETS) // whoever packs documents calls once for each
                .collect(Collectors.toSet());
    }

    @Override
    protected Map<String, float[]> run(ScanCase scan) {
        return GuardedScan.run(kernels(), scan, Layout.SLICED);
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void theMemoryLayoutChangesNothing(Layout layout) {
        for (int channels : new int[] {1, 16, 35, 64}) {
            ScanCase scan = ScanCase.random(new Random(channels), 3, 70, channels, 7, options(ScanCase.ALL));
            Map<String, float[]> expected = GuardedScan.run(kernels(), scan, Layout.DENSE);
            GuardedScan.run(kernels(), scan, layout)
                    .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "lastState",
                "grad u",
                "grad delta",
                "grad a",
                "grad b",
                "grad c",
                "grad d",
                "grad deltaBias",
                "grad z",
                "grad initialState",
                "none"
            })
    void anyOutputCanBeLeftOut(String only) {
        ScanCase scan = ScanCase.random(new Random(20), 2, 70, 35, 7, options(ScanCase.ALL));
        Map<String, float[]> expected = run(scan);
        GuardedScan.run(kernels(), scan, Layout.SLICED, only::equals)
                .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
        GuardedScan.run(kernels(), scan, Layout.SLICED, name -> !name.equals(only))
                .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
    }

    @ParameterizedTest
    @CsvSource({"2, 37, 16", "1, 37, 16", "1, 1, 4", "1, 300, 16", "1, 16, 8", "1, 257, 32", "1, 5, 7"})
    void stepsInPlaceWithoutCheckpoints(int batch, int channels, int states) {
        ScanCase whole = ScanCase.random(new Random(21), batch, 30, channels, states, options(ScanCase.ALL));
        float[] last = new float[batch * channels * states];
        float[] y = new float[whole.u().length];
        try (Arena arena = Arena.ofConfined();
                GuardedMemory memory = new GuardedMemory(Layout.DENSE)) {
            MemorySegment state = arena.allocate(4L * last.length);
            MemorySegment.copy(
                    whole.initialState(), 0, state, java.lang.foreign.ValueLayout.JAVA_FLOAT, 0, last.length);
            ScanArguments all = ScanArguments.builder()
                    .u(memory.input(whole.u(), batch, 30, channels))
                    .delta(memory.input(whole.delta(), batch, 30, channels))
                    .a(memory.input(whole.a()))
                    .b(memory.input(whole.b(), batch, 30, states))
                    .c(memory.input(whole.c(), batch, 30, states))
                    .d(memory.input(whole.d()))
                    .deltaBias(memory.input(whole.deltaBias()))
                    .z(memory.input(whole.z(), batch, 30, channels))
                    .softplus(true)
                    .y(memory.output(batch, 30, channels))
                    .build();
            for (int t = 0; t < 30; t++) {
                kernels()
                        .scanForward(ScanArguments.builder()
                                .u(all.u().steps(t, 1))
                                .delta(all.delta().steps(t, 1))
                                .a(all.a())
                                .b(all.b().steps(t, 1))
                                .c(all.c().steps(t, 1))
                                .d(all.d())
                                .deltaBias(all.deltaBias())
                                .z(all.z().steps(t, 1))
                                .softplus(true)
                                .initialState(state)
                                .lastState(state)
                                .y(all.y().steps(t, 1))
                                .build());
            }
            memory.check();
            System.arraycopy(GuardedMemory.read(all.y()), 0, y, 0, y.length);
            System.arraycopy(GuardedMemory.read(state), 0, last, 0, last.length);
        }
        Map<String, ExactSums> expected = ScanRecurrence.run(whole);
        comparison().check("y", "y", y, get(expected, "y"));
        comparison().check("state", "lastState", last, get(expected, "lastState"));
    }

    @Test
    void aStepWithoutOptionalInputs() {
        ScanCase step = ScanCase.random(
                new Random(23), 1, 1, 35, 16, Set.of(ScanCase.Option.INITIAL_STATE)); // no gate, bias, skip, softplus
        try (GuardedMemory memory = new GuardedMemory(Layout.SLICED)) {
            ScanArguments arguments = ScanArguments.builder()
                    .u(memory.input(step.u(), 1, 1, 35))
                    .delta(memory.input(step.delta(), 1, 1, 35))
                    .a(memory.input(step.a()))
                    .b(memory.input(step.b(), 1, 1, 16))
                    .c(memory.input(step.c(), 1, 1, 16))
                    .initialState(memory.input(step.initialState()))
                    .lastState(memory.output(step.initialState().length))
                    .y(memory.output(1, 1, 35))
                    .build();
            kernels().scanForward(arguments);
            memory.check();
            Map<String, ExactSums> expected = ScanRecurrence.run(step);
            comparison().check("y", "y", GuardedMemory.read(arguments.y()), get(expected, "y"));
        }
    }

    @Test
    void wrongGradientsAndCheckpointsAreRefused() {
        ScanCase scan = ScanCase.random(new Random(22), 2, 5, 3, 4, Set.of());
        try (GuardedMemory memory = new GuardedMemory(Layout.DENSE)) {
            ScanArguments.Builder builder = ScanArguments.builder()
                    .u(memory.input(scan.u(), 2, 5, 3))
                    .delta(memory.input(scan.delta(), 2, 5, 3))
                    .a(memory.input(scan.a()))
                    .b(memory.input(scan.b(), 2, 5, 4))
                    .c(memory.input(scan.c(), 2, 5, 4));
            ScanArguments noOutput = builder.build();
            ScanArguments small = builder.y(memory.output(2, 5, 3))
                    .checkpoints(memory.output(1))
                    .build();
            ScanGradients gradients = ScanGradients.builder()
                    .y(memory.input(scan.gradY(), 2, 5, 3))
                    .build();
            assertRefused(() -> kernels().scanForward(noOutput), "selective scan: y is absent");
            assertRefused(() -> kernels().scanForward(small), "checkpoints holds 4 bytes, expected ");
            assertRefused(() -> kernels().scanBackward(noOutput, gradients), "checkpoints holds 0 bytes, expected ");
            assertRefused(
                    () -> kernels()
                            .scanBackward(noOutput, ScanGradients.builder().build()),
                    "gradient of y has shape (0, 0, 0), expected (2, 5, 3)");
            memory.check();
        }
    }

    static void assertRefused(Runnable call, String message) {
        assertThat(org.assertj.core.api.Assertions.catchThrowable(call::run))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }
}
