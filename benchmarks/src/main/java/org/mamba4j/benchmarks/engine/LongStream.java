package org.mamba4j.benchmarks.engine;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
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
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.TensorSpec;

/**
 * Ten million tokens, one by one, through one state: time per token, resident memory and allocated bytes of each tenth.
 * {@code LongStream [TOKENS [FOLDER]]}, by default of a small model with random weights. Linux only: it reads the process's
 * own resident memory. Fails if a token allocates, if memory grows or if tokens become slower.
 */
public final class LongStream {
    private static final int PARTS = 10;
    private static final int BLOCK = 1000;
    private static final double SLOWER = 1.5;
    private static final long GROWTH_KILOBYTES = 8192;

    private LongStream() {}

    /** A tenth of the tokens. */
    private record Part(double medianNanos, long allocated, long residentKilobytes, long collections) {}

    /** @param args how many tokens, and of which model */
    public static void main(String[] args) throws IOException {
        long tokens = args.length > 0 ? Long.parseLong(args[0]) : 10_000_000;
        Path folder = args.length > 1 ? Path.of(args[1]) : small();
        List<Part> parts = new ArrayList<>();
        System.out.println("| tokens | µs per token, median | allocated bytes | resident MiB | collections |");
        System.out.println("|---|---|---|---|---|");
        try (LanguageModel model = LanguageModel.open(folder);
                State state = model.newState()) {
            float[] logits = new float[model.vocabSize()];
            SplittableRandom random = new SplittableRandom(7);
            read(model, state, logits, random, tokens / PARTS); // while loops are compiled
            for (int part = 0; part < PARTS; part++) {
                parts.add(read(model, state, logits, random, tokens / PARTS));
                Part last = parts.getLast();
                System.out.printf(
                        "| %,d | %.2f | %d | %.1f | %d |%n",
                        state.tokensSeen(),
                        last.medianNanos() / 1000,
                        last.allocated(),
                        last.residentKilobytes() / 1024.0,
                        last.collections());
            }
            for (float logit : logits) {
                if (!Float.isFinite(logit)) {
                    throw new AssertionError("a logit is " + logit);
                }
            }
        }
        judge(parts, tokens / PARTS);
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
        if (last.medianNanos() > SLOWER * first.medianNanos()) {
            throw new AssertionError("tokens have become slower");
        }
    }

    private static Part read(LanguageModel model, State state, float[] logits, SplittableRandom random, long tokens)
            throws IOException {
        double[] nanos = new double[(int) (tokens / BLOCK)];
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long collections = collections();
        long before = threads.getTotalThreadAllocatedBytes();
        for (int block = 0; block < nanos.length; block++) {
            long start = System.nanoTime();
            for (int i = 0; i < BLOCK; i++) {
                model.step(state, random.nextInt(logits.length));
                model.logits(state, logits);
            }
            nanos[block] = (System.nanoTime() - start) / (double) BLOCK;
        }
        long allocated = threads.getTotalThreadAllocatedBytes() - before;
        Arrays.sort(nanos);
        return new Part(nanos[nanos.length / 2], allocated, resident(), collections() - collections);
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
