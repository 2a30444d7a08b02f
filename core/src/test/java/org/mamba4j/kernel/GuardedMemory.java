package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * Native memory for one run of a kernel, laid out in awkward ways, that notices any write to an input, or outside the
 * elements of an output.
 */
final class GuardedMemory implements AutoCloseable {
    /** How arrays lie in memory. */
    enum Layout {
        /** One after the other. */
        DENSE,
        /** Rows wider than the array, as slices of a projection's output are, 4 bytes off any vector's alignment. */
        SLICED,
        /** (L, B, C) in memory, not even aligned to floats. */
        TIME_MAJOR
    }

    private static final float GUARD = -12345.678f;
    private static final int MARGIN = 19;

    private final Arena arena = Arena.ofShared();
    private final Layout layout;
    private final List<Runnable> checks = new ArrayList<>();

    GuardedMemory(Layout layout) {
        this.layout = layout;
    }

    /** Rows with these values; must not change. */
    Rows input(float[] values, int batch, int length, int channels) {
        Rows rows = allocate(batch, length, channels);
        each(rows, (b, t, c, i) -> rows.set(b, t, c, values[i]));
        unchanged(rows.memory());
        return rows;
    }

    /** Dense memory with these values, {@link MemorySegment#NULL} for none; must not change. */
    MemorySegment input(float[] values) {
        if (values.length == 0) {
            return MemorySegment.NULL;
        }
        MemorySegment memory =
                arena.allocate(4L * values.length + 3, 64).asSlice(layout == Layout.DENSE ? 0 : 3, 4L * values.length);
        MemorySegment.copy(values, 0, memory, JAVA_FLOAT_UNALIGNED, 0, values.length);
        unchanged(memory);
        return memory;
    }

    /** Rows for an output, filled with garbage; only their elements may change. */
    Rows output(int batch, int length, int channels) {
        Rows rows = allocate(batch, length, channels);
        float[] before = rows.memory().toArray(JAVA_FLOAT_UNALIGNED);
        checks.add(() -> {
            float[] after = rows.memory().toArray(JAVA_FLOAT_UNALIGNED);
            // What may change is put back; then nothing may differ.
            each(
                    rows,
                    (b, t, c, i) ->
                            after[(int) (rows.offset() + b * rows.batchStride() + t * rows.rowStride() + c)] = GUARD);
            assertThat(after)
                    .as("memory outside an output of shape %s", rows.shape())
                    .isEqualTo(before);
        });
        return rows;
    }

    /** Dense memory of {@code size} floats for an output, filled with garbage, between guards. */
    MemorySegment output(long size) {
        if (size == 0) {
            return MemorySegment.NULL;
        }
        MemorySegment whole = arena.allocate(4 * (size + 2 * MARGIN), 64);
        fill(whole);
        checks.add(() -> {
            for (long i = 0; i < MARGIN; i++) {
                assertThat(whole.getAtIndex(JAVA_FLOAT_UNALIGNED, i))
                        .as("guard before an output")
                        .isEqualTo(GUARD);
                assertThat(whole.getAtIndex(JAVA_FLOAT_UNALIGNED, MARGIN + size + i))
                        .as("guard after an output")
                        .isEqualTo(GUARD);
            }
        });
        return whole.asSlice(4L * MARGIN, 4 * size);
    }

    static float[] read(Rows rows) {
        float[] values = new float[rows.batch() * rows.length() * rows.channels()];
        each(rows, (b, t, c, i) -> values[i] = rows.get(b, t, c));
        return values;
    }

    static float[] read(MemorySegment memory) {
        return memory.toArray(JAVA_FLOAT_UNALIGNED);
    }

    /** Runs all checks. */
    void check() {
        checks.forEach(Runnable::run);
    }

    @Override
    public void close() {
        arena.close();
    }

    private Rows allocate(int batch, int length, int channels) {
        long offset = layout == Layout.DENSE ? 0 : MARGIN;
        long width = layout == Layout.DENSE ? channels : channels + 7L;
        long skew = layout == Layout.TIME_MAJOR ? 2 : 0;
        long size = offset + width * batch * length;
        MemorySegment memory = arena.allocate(4 * size + skew, 64).asSlice(skew, 4 * size);
        fill(memory);
        return layout == Layout.TIME_MAJOR
                ? new Rows(memory, offset, batch, length, channels, width, batch * width)
                : new Rows(memory, offset, batch, length, channels, length * width, width);
    }

    private static void fill(MemorySegment memory) {
        for (long i = 0; i < memory.byteSize() / 4; i++) {
            memory.setAtIndex(JAVA_FLOAT_UNALIGNED, i, GUARD);
        }
    }

    private void unchanged(MemorySegment memory) {
        byte[] before = memory.toArray(JAVA_BYTE);
        Supplier<byte[]> after = () -> memory.toArray(JAVA_BYTE);
        checks.add(() -> assertThat(after.get()).as("an input").isEqualTo(before));
    }

    private interface Element {
        void visit(int b, int t, int c, int index);
    }

    private static void each(Rows rows, Element element) {
        int index = 0;
        for (int b = 0; b < rows.batch(); b++) {
            for (int t = 0; t < rows.length(); t++) {
                for (int c = 0; c < rows.channels(); c++) {
                    element.visit(b, t, c, index++);
                }
            }
        }
    }
}
