package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.mamba4j.inference.SamplingOptions;
import org.mamba4j.kernel.Workers;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.bench.CoreOperation;
import org.mamba4j.torch.bench.Machine;
import org.mamba4j.torch.cuda.GpuMemory;
import org.mamba4j.torch.decode.GenerationBenchmark;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.nn.BatchGeneration;
import org.mamba4j.torch.nn.BatchReading;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.train.TrainingBenchmark;

/** What the efficiency experiment measures, part by part. */
record EfficiencyParts(Setup setup) {
    static final String MILLISECONDS = "ms";
    static final String RATE = "generated tokens/s";
    static final String MEMORY = "GB to train";
    static final String TRAINING = "trained tokens/s";
    static final String LATENCY = "seconds to read";
    private static final double GIGA = 1e9;
    private static final int REPEATS = 3;

    /** Seconds that reading may take to be measured again, and to be tried at the next length. */
    private static final double WORTH_REPEATING = 1;

    private static final double TOO_SLOW = 4;

    /** The most telling first. */
    List<Part> all() {
        List<Part> parts = new ArrayList<>();
        long seed = setup.seeds().getFirst();
        for (CoreOperation operation : CoreOperation.values()) {
            parts.add(new MeasuredPart(
                    operation.label(),
                    "operation",
                    seed,
                    "D " + channels() + ", L 2^9 … 2^" + longestPower(),
                    setup.by(1.0, 60.0, 15.0),
                    "",
                    (run, figures) -> operation(operation, run, figures)));
        }
        for (EfficiencyModels model : EfficiencyModels.generating(setup)) {
            parts.add(part(model, "generation", setup.by(2.0, 60.0, 60.0), this::generate));
        }
        for (EfficiencyModels model : EfficiencyModels.trained(setup)) {
            parts.add(part(model, "training", setup.by(2.0, 60.0, 30.0), this::train));
        }
        for (EfficiencyModels model : EfficiencyModels.trained(setup)) {
            parts.add(part(model, "latency", setup.by(2.0, 60.0, 30.0), this::read));
        }
        return parts;
    }

    int channels() {
        return setup.by(64, 256, 1024);
    }

    int longestPower() {
        return setup.by(9, 14, 19);
    }

    int prompt() {
        return setup.by(16, 128, 2048);
    }

    int generated() {
        return setup.by(4, 16, 128);
    }

    int trainedLength() {
        return setup.by(64, 256, 2048);
    }

    List<Integer> batches() {
        return setup.by(List.of(1, 2), List.of(1, 4, 16), List.of(1, 2, 4, 8, 16, 32, 64, 128));
    }

    List<Integer> trainedBatches() {
        return setup.by(List.of(1, 2), List.of(1, 2, 4), List.of(1, 2, 4, 8, 16, 32));
    }

    List<Integer> lengths() {
        return setup.by(
                List.of(64, 128), List.of(256, 1024, 4096), List.of(1000, 4000, 16_000, 64_000, 128_000, 400_000));
    }

    private boolean onGpu() {
        return !setup.device().equals("cpu");
    }

    private Precision precision() {
        return onGpu() ? Precision.BFLOAT16 : Precision.FLOAT32;
    }

    /** What measures a model. */
    private interface Measurement {
        void measure(EfficiencyModels model, PartRun run, MeasuredPart.Figures figures);
    }

    private Part part(EfficiencyModels model, String setting, double seconds, Measurement measurement) {
        return new MeasuredPart(
                model.row().name(),
                setting,
                setup.seeds().getFirst(),
                model.row().json() + "; prompt " + prompt() + ", new " + generated() + ", batches " + batches()
                        + "; trained length " + trainedLength() + ", batches " + trainedBatches() + "; read "
                        + lengths(),
                seconds,
                model.row().hindrance(),
                (run, figures) -> measurement.measure(model, run, figures));
    }

    private void operation(CoreOperation operation, PartRun run, MeasuredPart.Figures figures) {
        Machine machine = Machine.of(setup.device());
        if (operation == CoreOperation.COMPOSED_SCAN) {
            CoreOperation.checkScans(machine, 1 << 9, channels());
        }
        for (int power = 9; power <= longestPower(); power++) {
            run.progress((power - 9.0) / (longestPower() - 8), "2^" + power);
            long start = System.nanoTime();
            CoreOperation.Measured found = operation.measure(machine, 1 << power, channels(), REPEATS);
            figures.add("2^" + power, MILLISECONDS, 1e3 * found.seconds(), seconds(start), 0);
        }
    }

    private void generate(EfficiencyModels model, PartRun run, MeasuredPart.Figures figures) {
        if (model.fast() && onGpu()) {
            MambaConfig config = (MambaConfig) model.row().config();
            for (int batch : batches()) {
                run.progress(0, "batch " + batch);
                long start = System.nanoTime();
                double[] took = {Double.NaN};
                boolean fits = MeasuredPart.fits(() -> {
                    took[0] = GenerationBenchmark.run(
                                    config,
                                    setup.device(),
                                    precision(),
                                    new GenerationBenchmark.Work(
                                            batch, prompt(), generated(), SamplingOptions.GREEDY, 1))
                            .leastSeconds();
                    return true;
                });
                addRate(figures, batch, fits ? took[0] : Double.NaN, seconds(start), config.parameterCount());
            }
            return;
        }
        try (LanguageNetwork network = network(model)) {
            BatchGeneration.round(network);
            boolean fits = true;
            for (int batch : batches()) {
                run.progress(0, "batch " + batch);
                long start = System.nanoTime();
                int[] prompts = tokens(network, batch * prompt());
                double[] took = {Double.NaN};
                fits = fits
                        && MeasuredPart.fits(() -> {
                            BatchGeneration.greedy(network, batch, prompts, 2);
                            long began = System.nanoTime();
                            BatchGeneration.greedy(network, batch, prompts, generated());
                            took[0] = seconds(began);
                            return true;
                        });
                addRate(figures, batch, fits ? took[0] : Double.NaN, seconds(start), network.parameterCount());
                release();
            }
        }
        release();
    }

    private void addRate(MeasuredPart.Figures figures, int batch, double took, double seconds, long parameters) {
        figures.add("batch " + batch, RATE, batch * (double) generated() / took, seconds, parameters);
    }

    private void train(EfficiencyModels model, PartRun run, MeasuredPart.Figures figures) {
        boolean fits = true;
        List<Integer> batches = trainedBatches();
        // A cell reads token after token whatever the batch: the last two batches say enough.
        for (int batch : model.recurrent() ? batches.subList(batches.size() - 2, batches.size()) : batches) {
            run.progress(0, "batch " + batch);
            long start = System.nanoTime();
            List<TrainingBenchmark.Result> found = new ArrayList<>();
            List<String> settings = List.of(
                    "device=" + setup.device(),
                    "precision=" + precision().key(),
                    "data.batch=" + batch,
                    "data.length=" + trainedLength());
            fits = fits
                    && MeasuredPart.fits(() -> found.add(
                            TrainingBenchmark.run(model.row().config(), settings, Ranks.alone(), 2, REPEATS)));
            double seconds = seconds(start);
            for (TrainingBenchmark.Result result : found) {
                figures.add("train " + batch, TRAINING, result.tokensPerSecond(), seconds, result.parameters());
                if (onGpu()) {
                    figures.add("train " + batch, MEMORY, result.deviceBytes() / GIGA, seconds, result.parameters());
                }
            }
            if (found.isEmpty()) {
                figures.add("train " + batch, TRAINING, Double.NaN, seconds, 0);
            }
            release();
        }
    }

    private void read(EfficiencyModels model, PartRun run, MeasuredPart.Figures figures) {
        try (LanguageNetwork network = network(model)) {
            BatchReading reading = new BatchReading(network);
            boolean fits = true;
            for (int length : lengths()) {
                run.progress(0, length + " tokens");
                long start = System.nanoTime();
                int[] tokens = tokens(network, length);
                double[] took = new double[REPEATS];
                fits = fits
                        && MeasuredPart.fits(() -> {
                            double first = read(reading, tokens);
                            // What takes seconds is not measured twice: starting up no longer counts.
                            Arrays.setAll(took, i -> first > WORTH_REPEATING ? first : read(reading, tokens));
                            return true;
                        });
                Arrays.sort(took);
                double median = fits ? took[REPEATS / 2] : Double.NaN;
                figures.add("read " + length, LATENCY, median, seconds(start), network.parameterCount());
                fits = median < TOO_SLOW;
                release();
            }
        }
        release();
    }

    private static double read(BatchReading reading, int[] tokens) {
        long start = System.nanoTime();
        reading.likeliestAfter(1, tokens);
        return seconds(start);
    }

    private LanguageNetwork network(EfficiencyModels model) {
        return LanguageNetwork.create(
                model.row().config(),
                MambaKernels.on(setup.device(), precision(), Workers.shared().parallelism()),
                setup.seeds().getFirst());
    }

    private static int[] tokens(LanguageNetwork network, int count) {
        Random random = new Random(count);
        int kinds = network.config().vocabSize();
        return IntStream.generate(() -> random.nextInt(kinds)).limit(count).toArray();
    }

    private void release() {
        if (onGpu()) {
            GpuMemory.releaseUnused();
        }
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) * 1e-9;
    }
}
