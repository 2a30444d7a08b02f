package org.mamba4j.benchmarks.llamacpp;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** How fast this machine reads memory that no cache holds: the bound of generating token by token. */
public final class ReadBandwidth {
    private static final VectorSpecies<Long> SPECIES = LongVector.SPECIES_PREFERRED;
    private static final int UNROLLED = 4;
    private static final int PASSES = 12;

    private ReadBandwidth() {}

    /** Bytes a second of private memory of {@code bytes}, read by {@code threads}; the best of some passes. */
    public static double ofMemory(long bytes, int threads) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment memory = arena.allocate(bytes, 64).fill((byte) 1);
            return measure(memory, threads);
        }
    }

    /** The same of a mapped file, as weights are. */
    public static double ofFile(Path file, int threads) throws IOException {
        try (Arena arena = Arena.ofShared();
                FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return measure(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena), threads);
        }
    }

    private static double measure(MemorySegment memory, int threads) {
        long step = (long) UNROLLED * SPECIES.vectorByteSize();
        long share = memory.byteSize() / threads / step * step;
        double best = 0;
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            for (int pass = 0; pass < PASSES; pass++) {
                long start = System.nanoTime();
                List<Future<Long>> sums = new ArrayList<>();
                for (int i = 0; i < threads; i++) {
                    MemorySegment part = memory.asSlice(i * share, share);
                    sums.add(executor.submit(() -> mixed(part)));
                }
                long mixed = 0;
                for (Future<Long> sum : sums) {
                    mixed ^= sum.get();
                }
                double seconds = (System.nanoTime() - start) * 1e-9;
                best = Math.max(best, share * threads / seconds);
                if (mixed == 42) {
                    System.out.println(); // so that the loop has a use
                }
            }
        } catch (InterruptedException | ExecutionException e) {
            throw new IllegalStateException(e);
        }
        return best;
    }

    /**
     * Reads {@code memory}, of which what fills no {@value #UNROLLED} vectors is left out, with the calling thread.
     *
     * @return something that depends on all of it
     */
    public static long mixed(MemorySegment memory) {
        LongVector a = LongVector.zero(SPECIES);
        LongVector b = a;
        LongVector c = a;
        LongVector d = a;
        int width = SPECIES.vectorByteSize();
        for (long at = 0; at + (long) UNROLLED * width <= memory.byteSize(); at += (long) UNROLLED * width) {
            a = a.lanewise(VectorOperators.XOR, load(memory, at));
            b = b.lanewise(VectorOperators.XOR, load(memory, at + width));
            c = c.lanewise(VectorOperators.XOR, load(memory, at + 2L * width));
            d = d.lanewise(VectorOperators.XOR, load(memory, at + 3L * width));
        }
        return a.lanewise(VectorOperators.XOR, b)
                .lanewise(VectorOperators.XOR, c.lanewise(VectorOperators.XOR, d))
                .reduceLanes(VectorOperators.XOR);
    }

    private static LongVector load(MemorySegment memory, long at) {
        return LongVector.fromMemorySegment(SPECIES, memory, at, ByteOrder.LITTLE_ENDIAN);
    }
}
