package org.mamba4j.kernel.vector;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mamba4j.TestSeed;
import org.mamba4j.kernel.WeightFormat;

/** The scalar loops give the vector loops' bits, at the width of this machine. */
class ScalarLoopsTest {
    private final Random random = new Random(TestSeed.of("ScalarLoopsTest"));

    private MemorySegment normal(Arena arena, int count, double scale) {
        MemorySegment memory = arena.allocate(4L * count + 4, 4);
        for (int i = 0; i < count; i++) {
            memory.setAtIndex(JAVA_FLOAT_UNALIGNED, i, (float) (scale * random.nextGaussian()));
        }
        return memory;
    }

    @ParameterizedTest
    @EnumSource(WeightFormat.class)
    void products(WeightFormat format) {
        try (Arena arena = Arena.ofConfined()) {
            for (int rows : new int[] {1, 4, 7, 13}) {
                for (int tokens : new int[] {1, 3, 4, 9}) {
                    int columns = format.isQuantised() ? 32 * (1 + random.nextInt(9)) : 1 + random.nextInt(300);
                    check(arena, format, rows, tokens, columns);
                }
            }
        }
    }

    private void check(Arena arena, WeightFormat format, int rows, int tokens, int columns) {
        MemorySegment w = stored(arena, format, rows * columns);
        MemorySegment x = normal(arena, tokens * columns, 1);
        MemorySegment expected = arena.allocate(4L * tokens * rows, 4);
        MemorySegment actual = arena.allocate(4L * tokens * rows, 4);
        long stride = format.bytes(columns);
        new Product().warmUp(format, w.address(), stride, rows, columns, x.address(), tokens, expected.address());
        ScalarLoops.product(
                format,
                w.address(),
                stride,
                rows,
                columns,
                x.address(),
                4L * columns,
                tokens,
                actual.address(),
                4L * rows);
        assertThat(actual.toArray(JAVA_FLOAT_UNALIGNED))
                .as("%s %d x %d, %d tokens", format, rows, columns, tokens)
                .isEqualTo(expected.toArray(JAVA_FLOAT_UNALIGNED));
        assertThat(expected.get(JAVA_FLOAT_UNALIGNED, 0)).isNotZero();
    }

    private MemorySegment stored(Arena arena, WeightFormat format, int count) {
        float[] values = normal(arena, count, 1).asSlice(0, 4L * count).toArray(JAVA_FLOAT_UNALIGNED);
        MemorySegment memory = arena.allocate(format.bytes(count) + 1).asSlice(1);
        if (format.isQuantised()) {
            format.quantise(values, memory);
            return memory;
        }
        for (int i = 0; i < count; i++) {
            switch (format) {
                case F32 -> memory.set(JAVA_FLOAT_UNALIGNED, 4L * i, values[i]);
                case BF16 ->
                    memory.set(JAVA_SHORT_UNALIGNED, 2L * i, (short) (Float.floatToRawIntBits(values[i]) >>> 16));
                default -> memory.set(JAVA_SHORT_UNALIGNED, 2L * i, Float.floatToFloat16(values[i]));
            }
        }
        return memory;
    }

    @Test
    void norms() {
        try (Arena arena = Arena.ofConfined()) {
            for (int columns : new int[] {1, 15, 16, 33, 64, 200}) {
                MemorySegment x = normal(arena, columns, 1);
                MemorySegment same = arena.allocate(4L * columns, 4).copyFrom(x.asSlice(0, 4L * columns));
                MemorySegment added = normal(arena, columns, 1);
                MemorySegment weight = normal(arena, columns, 1);
                MemorySegment expected = arena.allocate(4L * columns, 4);
                MemorySegment actual = arena.allocate(4L * columns, 4);
                for (long from : new long[] {added.address(), 0}) {
                    StepFrame f = StepFrame.ofThread();
                    f.count = columns;
                    f.x = x.address();
                    f.input = from;
                    f.a = weight.address();
                    f.epsilon = 1e-5f;
                    f.y = expected.address();
                    f.run(Norm.VECTORS);
                    ScalarLoops.norm(same.address(), from, weight.address(), 1e-5f, columns, actual.address());
                    assertThat(actual.mismatch(expected)).isEqualTo(-1);
                    assertThat(same.mismatch(x.asSlice(0, 4L * columns))).isEqualTo(-1);
                }
            }
        }
    }

    @Test
    void activations() {
        float[] edges = {0, -0f, 20, 20.1f, -20, 87, 89, -87, -104, 500, -500, 1e-20f, Float.MIN_VALUE};
        int count = 512;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment values = normal(arena, count, 8);
            for (int i = 0; i < edges.length; i++) {
                values.setAtIndex(JAVA_FLOAT_UNALIGNED, i, edges[i]);
            }
            StepFrame frame = StepFrame.ofThread();
            frame.count = count;
            frame.power = arena.allocate(4L * count, 64).address();
            for (boolean silu : new boolean[] {true, false}) {
                MemorySegment expected = arena.allocate(4L * count, 64).copyFrom(values.asSlice(0, 4L * count));
                MemorySegment actual = arena.allocate(4L * count, 64).copyFrom(values.asSlice(0, 4L * count));
                frame.x = expected.address();
                frame.run(silu ? StepFrame.SILU : StepFrame.SOFTPLUS);
                if (silu) {
                    ScalarLoops.silu(actual.address(), count);
                } else {
                    ScalarLoops.softplus(actual.address(), count);
                }
                assertThat(actual.toArray(JAVA_FLOAT_UNALIGNED)).isEqualTo(expected.toArray(JAVA_FLOAT_UNALIGNED));
            }
        }
    }

    @Test
    void recurrences() {
        try (Arena arena = Arena.ofConfined()) {
            for (int states : new int[] {1, 4, 7, 16, 32, 33}) {
                int channels = 13;
                StepFrame f = StepFrame.ofThread();
                f.count = channels;
                f.states = states;
                f.delta = normal(arena, channels, 0.1).address();
                f.input = normal(arena, channels, 1).address();
                f.a = normal(arena, channels * states, 1).address();
                f.before = normal(arena, channels * states, 1).address();
                long b = normal(arena, states, 1).address();
                long c = normal(arena, states, 1).address();
                MemorySegment[] after = new MemorySegment[2];
                MemorySegment[] y = new MemorySegment[2];
                for (int form = 0; form < 2; form++) {
                    after[form] = arena.allocate(4L * channels * states, 64);
                    y[form] = arena.allocate(4L * channels, 64);
                    f.after = after[form].address();
                    f.y = y[form].address();
                    f.b = b;
                    f.c = c;
                    if (form == 0) {
                        ScalarLoops.recurrence(f);
                    } else {
                        ScanStep.recurrence(f, Scratch.ofThread(ScanStep.padding(channels, states)));
                    }
                }
                assertThat(after[0].mismatch(after[1])).as("states " + states).isEqualTo(-1);
                assertThat(y[0].mismatch(y[1])).as("states " + states).isEqualTo(-1);
            }
        }
    }
}
