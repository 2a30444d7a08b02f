package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.kernel.GuardedMemory.Layout;

/** {@link CausalConvContract} for {@link SequenceKernels}, with what only concerns how they use memory. */
abstract class CpuConvContract extends CausalConvContract {
    protected abstract SequenceKernels kernels();

    @Override
    protected int options(int wanted) {
        return wanted & ~ConvCase.RESETS; // whoever packs documents calls once for each
    }

    @Override
    protected Map<String, float[]> run(ConvCase conv) {
        return run(conv, Layout.SLICED, name -> true);
    }

    private Map<String, float[]> run(ConvCase s, Layout layout, Predicate<String> wanted) {
        int batch = s.batch();
        int length = s.length();
        int channels = s.channels();
        long state = (long) batch * channels * (s.width() - 1);
        try (GuardedMemory memory = new GuardedMemory(layout)) {
            ConvArguments arguments = ConvArguments.builder()
                    .x(memory.input(s.x(), batch, length, channels))
                    .weight(memory.input(s.weight()))
                    .bias(memory.input(s.bias()))
                    .silu(s.silu())
                    .initialState(memory.input(s.initialState()))
                    .y(memory.output(batch, length, channels))
                    .lastState(memory.output(wanted.test("lastState") ? state : 0))
                    .build();
            kernels().convForward(arguments);
            memory.check();
            ConvGradients gradients = ConvGradients.builder()
                    .y(memory.input(s.gradY(), batch, length, channels))
                    .lastState(memory.input(s.gradLastState()))
                    .x(wanted.test("grad x") ? memory.output(batch, length, channels) : Rows.ABSENT)
                    .weight(memory.output(wanted.test("grad weight") ? s.weight().length : 0))
                    .bias(memory.output(wanted.test("grad bias") ? channels : 0))
                    .initialState(memory.output(wanted.test("grad initialState") ? state : 0))
                    .build();
            kernels().convBackward(arguments, gradients);
            memory.check();
            Map<String, float[]> results = new LinkedHashMap<>();
            results.put("y", GuardedMemory.read(arguments.y()));
            results.put("lastState", GuardedMemory.read(arguments.lastState()));
            results.put("grad x", GuardedMemory.read(gradients.x()));
            results.put("grad weight", GuardedMemory.read(gradients.weight()));
            results.put("grad bias", GuardedMemory.read(gradients.bias()));
            results.put("grad initialState", GuardedMemory.read(gradients.initialState()));
            results.keySet().removeIf(wanted.negate());
            return results;
        }
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void theMemoryLayoutChangesNothing(Layout layout) {
        for (int channels : new int[] {1, 16, 35, 64}) {
            ConvCase conv = ConvCase.random(new Random(channels), 3, 70, channels, 4, 15);
            Map<String, float[]> expected = run(conv, Layout.DENSE, name -> true);
            run(conv, layout, name -> true)
                    .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"lastState", "grad x", "grad weight", "grad bias", "grad initialState", "none"})
    void anyOutputCanBeLeftOut(String only) {
        ConvCase conv = ConvCase.random(new Random(20), 2, 70, 35, 4, 15);
        Map<String, float[]> expected = run(conv);
        run(conv, Layout.SLICED, only::equals)
                .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
        run(conv, Layout.SLICED, name -> !name.equals(only))
                .forEach((name, values) -> assertThat(values).as(name).isEqualTo(expected.get(name)));
    }

    @ParameterizedTest
    @CsvSource({"1, 4", "16, 4", "37, 1", "300, 4", "33, 2", "9, 17"})
    void stepsInPlaceEqualTheWhole(int channels, int width) {
        for (int options : new int[] {4, 5, 6, 7}) {
            ConvCase conv = ConvCase.random(new Random(24), 1, 9, channels, width, options);
            Map<String, float[]> expected = run(conv);
            try (GuardedMemory memory = new GuardedMemory(Layout.SLICED)) {
                MemorySegment state = memory.output(conv.initialState().length);
                MemorySegment.copy(conv.initialState(), 0, state, JAVA_FLOAT_UNALIGNED, 0, conv.initialState().length);
                Rows x = memory.input(conv.x(), 1, 9, channels);
                Rows y = memory.output(1, 9, channels);
                ConvArguments.Builder arguments = ConvArguments.builder()
                        .weight(memory.input(conv.weight()))
                        .bias(memory.input(conv.bias()))
                        .silu(conv.silu())
                        .initialState(state)
                        .lastState(state);
                for (int t = 0; t < 9; t++) {
                    kernels()
                            .convForward(
                                    arguments.x(x.steps(t, 1)).y(y.steps(t, 1)).build());
                }
                memory.check();
                assertThat(GuardedMemory.read(y))
                        .as("%s", conv)
                        .usingComparatorWithPrecision(1e-5f)
                        .containsExactly(expected.get("y"));
                assertThat(GuardedMemory.read(state)).isEqualTo(expected.get("lastState"));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 40})
    void theStateCanBeUpdatedInPlace(int length) {
        ConvCase conv = ConvCase.random(new Random(21), 2, length, 37, 4, 15);
        Map<String, float[]> expected = run(conv);
        try (GuardedMemory memory = new GuardedMemory(Layout.DENSE)) {
            MemorySegment state = memory.output(conv.initialState().length);
            MemorySegment.copy(conv.initialState(), 0, state, JAVA_FLOAT_UNALIGNED, 0, conv.initialState().length);
            Rows y = memory.output(2, length, 37);
            kernels()
                    .convForward(ConvArguments.builder()
                            .x(memory.input(conv.x(), 2, length, 37))
                            .weight(memory.input(conv.weight()))
                            .bias(memory.input(conv.bias()))
                            .silu(true)
                            .initialState(state)
                            .lastState(state)
                            .y(y)
                            .build());
            assertThat(GuardedMemory.read(y)).isEqualTo(expected.get("y"));
            assertThat(GuardedMemory.read(state)).isEqualTo(expected.get("lastState"));
        }
    }

    @Test
    void wrongGradientsAreRefused() {
        ConvCase conv = ConvCase.random(new Random(22), 2, 5, 3, 4, 0);
        try (GuardedMemory memory = new GuardedMemory(Layout.DENSE)) {
            ConvArguments arguments = ConvArguments.builder()
                    .x(memory.input(conv.x(), 2, 5, 3))
                    .weight(memory.input(conv.weight()))
                    .build();
            CpuScanContract.assertRefused(() -> kernels().convForward(arguments), "causal convolution: y is absent");
            CpuScanContract.assertRefused(
                    () -> kernels()
                            .convBackward(
                                    arguments,
                                    ConvGradients.builder()
                                            .y(memory.input(conv.gradY(), 2, 5, 3))
                                            .weight(memory.output(5))
                                            .build()),
                    "gradient of weight holds 20 bytes, expected 48 for shape (3, 4)");
        }
    }
}
