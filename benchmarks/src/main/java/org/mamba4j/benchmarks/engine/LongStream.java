package org.mamba4j.benchmarks.engine;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.checkpoint.SafetensorsWriter;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.kernel.Workers;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.TensorSpec;

/**
 * Ten million tokens, one by one, through one state: time per token, resident memory and allocated bytes of each tenth, the
 * first of them from 1,000 tokens on in steps that grow.
 * {@code LongStream [TOKENS [FOLDER]]}, by default of a small model with random weights. Linux only: it reads the process's
 * own resident memory. Fails if a token allocates, if memory grows or if tokens become slower.
 *
 * <p>A shared machine's speed changes while it runs, by half and more, so a {@link Yardstick} is measured after every
 * {@value #BLOCK} tokens. Where a token takes longer, the columns beside it tell why: the machine (arithmetic or reading
 * takes longer too, and the ratio stays), other programs (the thread has waited, so that its processor time, "CPU", is less
 * than "µs", or arithmetic by all threads takes longer than by one), the compiler (it has worked) or the numbers (so small that
 * processors take longer over them). What is left is the engine. Tokens are judged by the lesser of the two ratios.
 */
public final class LongStream {
    private static final int PARTS = 10;
    private static final int BLOCK = 1000;
    private static final int STEP = 4;
    private static final double SLOWER = 1.5;
    private static final long GROWTH_KILOBYTES = 8192;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final CompilationMXBean COMPILER = ManagementFactory.getCompilationMXBean();

    private LongStream() {}

    /**
     * A row of the table.
     *
     * @param nanos of a token, the median of the blocks
     * @param cpuNanos of the thread that reads the tokens, of a token, likewise
     * @param alone nanoseconds of the yardstick's arithmetic by one thread, likewise
     * @param together the same by all threads at once
     * @param reading nanoseconds of the yardstick's reading
     * @param perArithmetic a token's time by that of arithmetic by all threads in the same block, the median
     * @param perReading the same by that of reading
     */
    private record Part(
            double nanos,
            double cpuNanos,
            double alone,
            double together,
            double reading,
            double perArithmetic,
            double perReading,
            long compiledMillis,
            long allocated,
            long residentKilobytes,
            long collections) {}

    /** Of each block one number. */
    private static final class Blocks {
        private final double[] values;

        Blocks(int count) {
            values = new double[count];
        }

        void set(int block, double value) {
            values[block] = value;
        }

        double median() {
            double[] sorted = values.clone();
            Arrays.sort(sorted);
            return sorted[sorted.length / 2];
        }
    }

    /** @param args how many tokens, and of which model */
    public static void main(String[] args) throws IOException {
        long tokens = args.length > 0 ? Long.parseLong(args[0]) : 10_000_000;
        Path folder = args.length > 1 ? Path.of(args[1]) : small();
        if (tokens < (long) PARTS * BLOCK) {
            throw new IllegalArgumentException(tokens + " tokens: take at least " + PARTS * BLOCK);
        }
        List<Part> parts = new ArrayList<>();
        System.out.printf(
                "%d threads; medians of %d tokens each%n", Workers.shared().parallelism(), BLOCK);
        System.out.println("| tokens | µs per token | CPU µs | arithmetic, µs | by all threads, µs | reading, µs |"
                + " token/arithmetic | token/reading | compiler, ms | allocated bytes | resident MiB | collections |");
        System.out.println("|---|---|---|---|---|---|---|---|---|---|---|---|");
        try (LanguageModel model = LanguageModel.open(folder);
                Yardstick yardstick = new Yardstick(weights(folder));
                State state = model.newState()) {
            float[] logits = new float[model.vocabSize()];
            SplittableRandom random = new SplittableRandom(7);
            try (State other = model.newState()) {
                read(model, other, logits, random, tokens / PARTS, yardstick); // while loops are compiled
            }
            for (long end : ends(tokens)) {
                parts.add(read(model, state, logits, random, end - state.tokensSeen(), yardstick));
                print(state, parts.getLast());
            }
            for (float logit : logits) {
                if (!Float.isFinite(logit)) {
                    throw new AssertionError("a logit is " + logit);
                }
            }
            System.out.printf("%,d numbers of the state are too small to be stored with all digits%n", tiny(state));
        }
        judge(parts.subList(parts.size() - PARTS, parts.size()), tokens / PARTS);
    }

    /** After how many tokens rows end. */
    private static List<Long> ends(long tokens) {
        List<Long> ends = new ArrayList<>();
        long tenth = tokens / PARTS / BLOCK * BLOCK;
        for (long end = BLOCK; end < tenth; end *= STEP) {
            ends.add(end);
        }
        for (int part = 1; part <= PARTS; part++) {
            ends.add(part * tenth);
        }
        return ends;
    }

    private static void print(State state, Part part) {
        System.out.printf(
                "| %,d | %.2f | %.2f | %.1f | %.1f | %.1f | %.3f | %.3f | %d | %d | %.1f | %d |%n",
                state.tokensSeen(),
                part.nanos() / 1000,
                part.cpuNanos() / 1000,
                part.alone() / 1000,
                part.together() / 1000,
                part.reading() / 1000,
                part.perArithmetic(),
                part.perReading(),
                part.compiledMillis(),
                part.allocated(),
                part.residentKilobytes() / 1024.0,
                part.collections());
    }

    private static void judge(List<Part> parts, long tokens) {
        Part first = parts.getFirst();
        Part last = parts.getLast();
        if (last.allocated() > tokens) {
            throw new AssertionError(last.allocated() + " bytes were allocated for " + tokens + " tokens");
        }
        if (last.residentKilobytes() > first.residentKilobytes() + GROWTH_KILOBYTES) {
            throw new AssertionError("resident memory has grown");
        }
        if (last.perArithmetic() > SLOWER * first.perArithmetic() && last.perReading() > SLOWER * first.perReading()) {
            throw new AssertionError("tokens have become slower, and the machine has not");
        }
    }

    private static Part read(
            LanguageModel model, State state, float[] logits, SplittableRandom random, long tokens, Yardstick yardstick)
            throws IOException {
        int count = (int) (tokens / BLOCK);
        Blocks nanos = new Blocks(count);
        Blocks cpu = new Blocks(count);
        Blocks alone = new Blocks(count);
        Blocks together = new Blocks(count);
        Blocks reading = new Blocks(count);
        Blocks perArithmetic = new Blocks(count);
        Blocks perReading = new Blocks(count);
        long collections = collections();
        long compiled = COMPILER.getTotalCompilationTime();
        long allocated = 0;
        for (int block = 0; block < count; block++) {
            long before = THREADS.getTotalThreadAllocatedBytes();
            long used = THREADS.getCurrentThreadCpuTime();
            long start = System.nanoTime();
            for (int i = 0; i < BLOCK; i++) {
                model.step(state, random.nextInt(logits.length));
                model.logits(state, logits);
            }
            double perToken = (System.nanoTime() - start) / (double) BLOCK;
            cpu.set(block, (THREADS.getCurrentThreadCpuTime() - used) / (double) BLOCK);
            allocated += THREADS.getTotalThreadAllocatedBytes() - before;
            nanos.set(block, perToken);
            alone.set(block, yardstick.alone());
            double calculated = yardstick.together();
            double fetched = yardstick.reading();
            together.set(block, calculated);
            reading.set(block, fetched);
            perArithmetic.set(block, perToken / calculated);
            perReading.set(block, perToken / fetched);
        }
        return new Part(
                nanos.median(),
                cpu.median(),
                alone.median(),
                together.median(),
                reading.median(),
                perArithmetic.median(),
                perReading.median(),
                COMPILER.getTotalCompilationTime() - compiled,
                allocated,
                resident(),
                collections() - collections);
    }

    /** Numbers of the state that are too small to be stored with all digits. */
    private static long tiny(State state) throws IOException {
        Path file = Files.createTempFile("mamba4j", ".state");
        try {
            state.save(file);
            ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
            long header = bytes.getLong();
            FloatBuffer numbers = bytes.position(Math.toIntExact(Long.BYTES + header))
                    .slice()
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .asFloatBuffer();
            long count = 0;
            while (numbers.hasRemaining()) {
                float size = Math.abs(numbers.get());
                count += size > 0 && size < Float.MIN_NORMAL ? 1 : 0;
            }
            return count;
        } finally {
            Files.delete(file);
        }
    }

    private static Path weights(Path folder) {
        try (Checkpoint checkpoint = Checkpoint.openQuantised(folder)) {
            return checkpoint.files().getFirst();
        }
    }

    private static long collections() {
        return ManagementFactory.getGarbageCollectorMXBeans().stream()
                .mapToLong(GarbageCollectorMXBean::getCollectionCount)
                .sum();
    }

    private static long resident() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("\\D+", ""));
            }
        }
        throw new IOException("/proc/self/status has no VmRSS");
    }

    private static Path small() throws IOException {
        MambaConfig config =
                MambaConfig.builder().vocabSize(256).dModel(32).nLayer(2).build();
        Path folder = Files.createTempDirectory("mamba4j").resolve("small");
        SplittableRandom random = new SplittableRandom(3);
        List<SafetensorsWriter.Tensor> tensors = new ArrayList<>();
        for (TensorSpec spec : config.parameters()) {
            float[] values = new float[Math.toIntExact(spec.shape().elements())];
            for (int i = 0; i < values.length; i++) {
                values[i] = spec.shape().rank() == 1 ? 1 : (float) (0.2 * random.nextGaussian());
            }
            tensors.add(SafetensorsWriter.Tensor.ofFloats(spec.name(), spec.shape(), values));
        }
        Checkpoint.write(folder, config, tensors);
        return folder;
    }
}
