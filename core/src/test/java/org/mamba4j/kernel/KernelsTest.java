package org.mamba4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.ResourceBundle;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.mamba4j.kernel.vector.VectorKernels;

/** The choice of kernels, their threads, and the validation of their arguments. */
class KernelsTest {
    @Test
    void theVectorKernelsAreUsedWhereTheyCanBe() {
        assertThat(Kernels.best().name()).startsWith("vector ");
        assertThat(Kernels.best()).isSameAs(Kernels.best());
        assertThat(Kernels.best(Workers.shared().parallelism())).isSameAs(Kernels.best());
        assertThat(Kernels.best(Workers.shared().parallelism() + 1))
                .isNotSameAs(Kernels.best())
                .isInstanceOf(VectorKernels.class);
    }

    @Test
    void withoutTheVectorApiThePlainKernelsAreUsedWithAWarning() {
        RecordingLogger logger = new RecordingLogger();
        assertThat(Kernels.choose(false, logger)).isInstanceOf(PlainKernels.class);
        assertThat(logger.messages).singleElement().asString().contains("--add-modules jdk.incubator.vector");
        assertThat(Kernels.choose(true, logger).name()).startsWith("vector ");
        assertThat(logger.messages).hasSize(1);
    }

    @Test
    void workersRunEachTaskOnceAndPassOnFailures() {
        Workers workers = new Workers(4);
        AtomicIntegerArray calls = new AtomicIntegerArray(1000);
        workers.run(1000, calls::incrementAndGet);
        for (int i = 0; i < 1000; i++) {
            assertThat(calls.get(i)).isEqualTo(1);
        }
        workers.run(0, calls::incrementAndGet);
        assertThatThrownBy(() -> workers.run(50, i -> {
                    if (i == 7) {
                        throw new IllegalStateException("seven");
                    }
                }))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("seven");
        workers.run(10, outer -> workers.run(10, inner -> calls.incrementAndGet(10 * outer + inner)));
        assertThat(calls.get(99)).isEqualTo(2);
        assertThatThrownBy(() -> new Workers(0)).hasMessage("parallelism is 0, must be at least 1");
    }

    @Test
    void badScanArgumentsAreNamed() {
        try (Arena arena = Arena.ofConfined()) {
            Rows rows = Rows.dense(arena.allocate(4 * 24), 2, 3, 4);
            Rows matrix = Rows.dense(arena.allocate(4 * 30), 2, 3, 5);
            ScanArguments.Builder good = ScanArguments.builder()
                    .u(rows)
                    .delta(rows)
                    .a(arena.allocate(4 * 20))
                    .b(matrix)
                    .c(matrix);
            assertThat(good.build().states()).isEqualTo(5);
            assertRefused(good.delta(rows.steps(0, 2)), "delta has shape (2, 2, 4), expected (2, 3, 4)");
            good.delta(rows);
            assertRefused(good.c(matrix.columns(1, 3)), "c has shape (2, 3, 3), expected (2, 3, 5)");
            good.c(matrix);
            assertRefused(good.a(arena.allocate(4 * 19)), "a holds 76 bytes, expected 80 for shape (4, 5)");
            assertRefused(good.a(MemorySegment.ofArray(new float[20])), "a is on the Java heap");
            assertRefused(good.a(MemorySegment.NULL), "a holds 0 bytes, expected 80 for shape (4, 5)");
            good.a(arena.allocate(4 * 20));
            assertRefused(
                    good.z(Rows.dense(arena.allocate(4 * 23), 2, 3, 4)),
                    "z of shape (2, 3, 4) at offset 0 with"
                            + " strides (12, 4, 1) does not fit its memory of 23 floats");
            assertRefused(good.z(new Rows(MemorySegment.NULL, 0, 2, 3, 4, 12, 4)), "z is null memory (address 0)");
            assertRefused(good.z(new Rows(rows.memory(), -1, 2, 3, 4, 12, 4)), "z of shape (2, 3, 4) at offset -1");
            assertRefused(
                    good.z(new Rows(rows.memory(), 0, 2, 3, 4, Long.MAX_VALUE / 2, 4)), "does not fit its memory");
            good.z(Rows.ABSENT);
            assertRefused(good.y(new Rows(rows.memory(), 0, 2, 3, 4, 12, 3)), "put several elements into one place");
            assertRefused(
                    good.y(Rows.dense(rows.memory().asReadOnly(), 2, 3, 4)),
                    "y is an output, but its memory is read-only");
            good.y(Rows.ABSENT);
            assertRefused(good.b(Rows.ABSENT), "N of 0 is outside 1 to 256");
            assertThatThrownBy(() -> rows.columns(2, 3)).hasMessage("columns 2 to 5 are outside 0 to 4");
        }
    }

    @Test
    void freedMemoryIsRefused() {
        Rows rows;
        try (Arena arena = Arena.ofConfined()) {
            rows = Rows.dense(arena.allocate(4 * 24), 2, 3, 4);
        }
        assertRefused(ScanArguments.builder().u(rows), "u lies in memory that was already freed");
    }

    private static void assertRefused(ScanArguments.Builder builder, String message) {
        assertThatThrownBy(builder::build)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("selective scan: ")
                .hasMessageContaining(message);
    }

    private static final class RecordingLogger implements System.Logger {
        final List<String> messages = Collections.synchronizedList(new ArrayList<>());

        @Override
        public String getName() {
            return "test";
        }

        @Override
        public boolean isLoggable(Level level) {
            return true;
        }

        @Override
        public void log(Level level, @Nullable ResourceBundle bundle, String message, @Nullable Throwable thrown) {
            messages.add(message);
        }

        @Override
        public void log(Level level, @Nullable ResourceBundle bundle, String format, @Nullable Object... parameters) {
            messages.add(format);
        }
    }
}
