package org.mamba4j.torch.bench;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.kernel.Kernels;
import org.mamba4j.kernel.PlainKernels;
import org.mamba4j.kernel.Workers;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequencePasses;

/** The processors of this computer, with core's kernels on all of them. */
final class CpuMachine extends Machine {
    /** Larger than most last-level caches; too large a guess costs a little time only. */
    private static final long CACHE_BYTES = 64L << 20;

    /** The plain kernels take some tenths of a second for so much. */
    private static final long REFERENCE_BYTES = 1L << 24;

    private static final long COPIED_BYTES = 128L << 20;
    private static final int CHUNK_BYTES = 4 << 20;
    private static final int REPEATS = 9;

    /** A method that runs on vectors is compiled after some dozen calls, in another thread. */
    private static final int WARM_CALLS = 20;

    private static final double LEAST_WARM_SECONDS = 1;
    private static final double MOST_WARM_SECONDS = 8;

    @Override
    public String name() {
        try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(line -> line.startsWith("model name"))
                    .map(line -> line.substring(line.indexOf(':') + 1).strip())
                    .findFirst()
                    .orElse(System.getProperty("os.arch"));
        } catch (IOException notLinux) {
            return System.getProperty("os.arch");
        }
    }

    @Override
    public String driver() {
        return "Java " + Runtime.version() + ", kernels " + Kernels.best().name();
    }

    @Override
    public int units() {
        return Workers.shared().parallelism();
    }

    @Override
    public Precision defaultPrecision() {
        return Precision.FLOAT32;
    }

    @Override
    void check(Precision precision) {
        if (precision != Precision.FLOAT32) {
            throw new UserError(
                    "precision " + precision.key() + " is for GPUs: on the CPU use float32, or add --device cuda");
        }
    }

    @Override
    TensorOptions options() {
        return new TensorOptions(ScalarType.Float);
    }

    @Override
    long cacheBytes() {
        return CACHE_BYTES;
    }

    /** What the system says that it can give without swapping; where it does not say, no limit. */
    @Override
    long freeBytes() {
        try (var lines = Files.lines(Path.of("/proc/meminfo"))) {
            return lines.filter(line -> line.startsWith("MemAvailable:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                    .findFirst()
                    .orElse(Long.MAX_VALUE);
        } catch (IOException notLinux) {
            return Long.MAX_VALUE;
        }
    }

    @Override
    long referenceBytes() {
        return REFERENCE_BYTES;
    }

    @Override
    SequencePasses passes(ScanInputs in) {
        return SequencePasses.cpu(Kernels.best(), in);
    }

    @Override
    SequencePasses passes(ConvInputs in) {
        return SequencePasses.cpu(Kernels.best(), in);
    }

    @Override
    SequencePasses reference(ScanInputs in) {
        return SequencePasses.cpu(new PlainKernels(), in);
    }

    @Override
    SequencePasses reference(ConvInputs in) {
        return SequencePasses.cpu(new PlainKernels(), in);
    }

    @Override
    Timing time(Runnable round, int calls, int repeats) {
        long start = System.nanoTime();
        int warm = 0;
        do {
            round.run();
            warm += calls;
        } while ((warm < WARM_CALLS || seconds(start) < LEAST_WARM_SECONDS) && seconds(start) < MOST_WARM_SECONDS);
        double[] times = new double[repeats];
        for (int i = 0; i < repeats; i++) {
            start = System.nanoTime();
            round.run();
            times[i] = seconds(start) / calls;
        }
        return Timing.of(times);
    }

    @Override
    public Ceilings ceilings() {
        return new Ceilings(copy(), exponentials());
    }

    private double copy() {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment from = arena.allocate(COPIED_BYTES, 64).fill((byte) 1);
            MemorySegment to = arena.allocate(COPIED_BYTES, 64).fill((byte) 2);
            int chunks = Math.toIntExact(COPIED_BYTES / CHUNK_BYTES);
            Timing timing = time(
                    () -> Workers.shared()
                            .run(
                                    chunks,
                                    chunk -> MemorySegment.copy(
                                            from,
                                            (long) chunk * CHUNK_BYTES,
                                            to,
                                            (long) chunk * CHUNK_BYTES,
                                            CHUNK_BYTES)),
                    1,
                    REPEATS);
            return 2.0 * COPIED_BYTES / timing.leastSeconds();
        }
    }

    /** By the vector exponential of the JDK, over arrays in the first-level cache. */
    private double exponentials() {
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            throw new UserError("the Vector API is not available: start Java with --add-modules jdk.incubator.vector");
        }
        int tasks = units();
        Timing timing = time(() -> Workers.shared().run(tasks, task -> Exponentials.run()), 1, REPEATS);
        return (double) tasks * Exponentials.COUNT / timing.leastSeconds();
    }

    private static double seconds(long since) {
        return (System.nanoTime() - since) * 1e-9;
    }

    /** Apart, as this class loads without the Vector API. */
    private static final class Exponentials {
        static final long COUNT = 1L << 23;
        private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
        private static final int ARRAY = 4096;

        static void run() {
            float[] from = new float[ARRAY];
            float[] to = new float[ARRAY];
            for (int i = 0; i < ARRAY; i++) {
                from[i] = -10f * i / ARRAY;
            }
            for (long done = 0; done < COUNT; done += ARRAY) {
                pass(from, to);
            }
            if (Math.abs(to[ARRAY / 2] - Math.exp(-5)) > 1e-6) {
                throw new WrongAnswerException("exp(-5) came out as " + to[ARRAY / 2]);
            }
        }

        private static void pass(float[] from, float[] to) {
            for (int i = 0; i < from.length; i += SPECIES.length()) {
                FloatVector.fromArray(SPECIES, from, i)
                        .lanewise(VectorOperators.EXP)
                        .intoArray(to, i);
            }
        }
    }
}
