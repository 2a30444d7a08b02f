package org.mamba4j.benchmarks.engine;

import static java.nio.file.StandardOpenOption.READ;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.mamba4j.benchmarks.llamacpp.ReadBandwidth;
import org.mamba4j.kernel.Workers;

/**
 * Work that is always the same, to be timed beside an engine's: it tells how fast the machine is at that moment. None of its
 * loops is the engine's, so how those were compiled does not matter to it. It allocates nothing.
 */
final class Yardstick implements AutoCloseable {
    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int COLUMNS = 1024;
    private static final int ROWS = 8; // 32 KiB, of the nearest cache
    private static final int TURNS = 400;

    private final Arena arena = Arena.ofShared();
    private final Calculation[] calculations;
    private final IntConsumer calculator;
    private final MemorySegment[] parts;
    private final long[] mixed;
    private final IntConsumer reader;

    /** @param file the engine's weights, which is to have them mapped too: so both find them in the same caches */
    Yardstick(Path file) throws IOException {
        int threads = Workers.shared().parallelism();
        calculations = Stream.generate(Calculation::new).limit(threads).toArray(Calculation[]::new);
        calculator = i -> calculations[i].run();
        try (FileChannel channel = FileChannel.open(file, READ)) {
            MemorySegment weights = channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
            long share = weights.byteSize() / threads;
            parts = IntStream.range(0, threads)
                    .mapToObj(i -> weights.asSlice(i * share, share))
                    .toArray(MemorySegment[]::new);
        }
        mixed = new long[threads];
        reader = part -> mixed[part] ^= ReadBandwidth.mixed(parts[part]);
    }

    /** Nanoseconds of a small matrix times a vector, {@value #TURNS} times, by the calling thread. */
    double alone() {
        long start = System.nanoTime();
        calculations[0].run();
        return System.nanoTime() - start;
    }

    /** The same by each of the engine's threads at once: longer than {@link #alone} where there are too few processors. */
    double together() {
        long start = System.nanoTime();
        Workers.shared().run(calculations.length, calculator);
        return System.nanoTime() - start;
    }

    /** Nanoseconds of reading all weights once, as bytes, by the engine's threads. */
    double reading() {
        long start = System.nanoTime();
        Workers.shared().run(parts.length, reader);
        return System.nanoTime() - start;
    }

    @Override
    public void close() {
        arena.close();
    }

    /** A thread's own numbers, which stay in its nearest cache. */
    private static final class Calculation {
        private final float[] matrix = new float[ROWS * COLUMNS];
        private final float[] vector = new float[COLUMNS];
        private final float[] lanes = new float[SPECIES.length()];
        private float sum;

        Calculation() {
            Arrays.fill(matrix, 0.5f);
            Arrays.fill(vector, 0.25f);
        }

        void run() {
            for (int turn = 0; turn < TURNS; turn++) {
                for (int row = 0; row < ROWS; row++) {
                    add(row * COLUMNS);
                }
            }
            if (!(sum > 0)) {
                throw new AssertionError("the yardstick came to " + sum);
            }
        }

        private void add(int from) {
            FloatVector even = FloatVector.zero(SPECIES);
            FloatVector odd = even;
            int width = SPECIES.length();
            for (int i = 0; i < COLUMNS; i += 2 * width) {
                int next = i + width;
                even = FloatVector.fromArray(SPECIES, matrix, from + i)
                        .fma(FloatVector.fromArray(SPECIES, vector, i), even);
                odd = FloatVector.fromArray(SPECIES, matrix, from + next)
                        .fma(FloatVector.fromArray(SPECIES, vector, next), odd);
            }
            even.add(odd).intoArray(lanes, 0);
            sum += lanes[0];
        }
    }
}
