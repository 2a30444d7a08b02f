package org.mamba4j.benchmarks.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.mamba4j.benchmarks.llamacpp.ComparisonModel;
import org.mamba4j.benchmarks.llamacpp.ReadBandwidth;
import org.mamba4j.inference.LanguageModel;
import org.mamba4j.inference.State;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.kernel.Workers;

/**
 * Tokens per second of the engine for each format of weights, and how near a generated token, which reads all weights once,
 * comes to the speed at which this machine reads the same file. Before anything is timed, logits after reading at once and
 * token by token are compared. {@code EngineSpeed [SECONDS]}, by default 20 of each format.
 */
public final class EngineSpeed {
    private static final int PROMPT = 512;
    private static final int TOKENS = 32;
    private static final float TOLERANCE = 1e-4f;

    private EngineSpeed() {}

    /** @param args seconds of each format */
    public static void main(String[] args) throws IOException {
        long nanos = (args.length == 0 ? 20 : Long.parseLong(args[0])) * 1_000_000_000L;
        Path folder = Files.createDirectories(Path.of("target", "llamacpp"));
        int threads = Workers.shared().parallelism();
        System.out.printf("%d threads; best / median%n", threads);
        System.out.println(
                "| weights | file MB | decode tokens/s | decode GB/s | read GB/s | ratio | prefill tokens/s |");
        System.out.println("|---|---|---|---|---|---|---|");
        for (WeightFormat format : List.of(WeightFormat.F32, WeightFormat.BF16, WeightFormat.Q8, WeightFormat.Q4)) {
            Path file = ComparisonModel.file(folder, ComparisonModel.shape(), format);
            try (LanguageModel model = LanguageModel.open(file)) {
                check(model);
                measure(format, file, model, nanos, threads);
            }
        }
    }

    private static int[] prompt(int length, int vocabulary) {
        return new SplittableRandom(1).ints(length, 0, vocabulary).toArray();
    }

    private static void check(LanguageModel model) {
        int[] tokens = prompt(33, model.vocabSize());
        try (State whole = model.newState();
                State stepped = model.newState()) {
            model.prefill(whole, tokens);
            for (int token : tokens) {
                model.step(stepped, token);
            }
            float[] expected = model.logits(whole);
            float[] actual = model.logits(stepped);
            float greatest = 0;
            float error = 0;
            for (int i = 0; i < expected.length; i++) {
                greatest = Math.max(greatest, Math.abs(expected[i]));
                error = Math.max(error, Math.abs(expected[i] - actual[i]));
            }
            if (!(greatest > 0) || !(error <= TOLERANCE * greatest)) {
                throw new AssertionError("logits differ by " + error + " of " + greatest);
            }
        }
    }

    private static void measure(WeightFormat format, Path file, LanguageModel model, long nanos, int threads)
            throws IOException {
        List<Double> prompts = new ArrayList<>();
        List<Double> tokens = new ArrayList<>();
        List<Double> reads = new ArrayList<>();
        int[] prompt = prompt(PROMPT, model.vocabSize());
        float[] logits = new float[model.vocabSize()];
        long bytes = Files.size(file);
        try (State state = model.newState()) {
            model.prefill(state, prompt); // loops are compiled during the first passes
            for (long end = System.nanoTime() + nanos; System.nanoTime() < end || tokens.size() < 2 * TOKENS; ) {
                state.reset();
                long start = System.nanoTime();
                model.prefill(state, prompt);
                prompts.add((System.nanoTime() - start) * 1e-9);
                reads.add(ReadBandwidth.ofFile(file, threads) * 1e-9);
                for (int i = 0; i < TOKENS; i++) {
                    start = System.nanoTime();
                    model.step(state, prompt[i]);
                    model.logits(state, logits);
                    tokens.add((System.nanoTime() - start) * 1e-9);
                }
            }
        }
        double best = least(tokens);
        double median = median(tokens);
        double greatest = reads.stream().mapToDouble(Double::doubleValue).max().orElseThrow();
        System.out.printf(
                "| %s | %d | %.1f / %.1f | %.1f / %.1f | %.1f / %.1f | %.2f / %.2f | %.0f / %.0f |%n",
                format,
                bytes / 1_000_000,
                1 / best,
                1 / median,
                bytes * 1e-9 / best,
                bytes * 1e-9 / median,
                greatest,
                median(reads),
                bytes * 1e-9 / best / greatest,
                bytes * 1e-9 / median / median(reads),
                PROMPT / least(prompts),
                PROMPT / median(prompts));
    }

    private static double least(List<Double> values) {
        return values.stream().mapToDouble(Double::doubleValue).min().orElseThrow();
    }

    private static double median(List<Double> values) {
        double[] sorted = values.stream().mapToDouble(Double::doubleValue).toArray();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
