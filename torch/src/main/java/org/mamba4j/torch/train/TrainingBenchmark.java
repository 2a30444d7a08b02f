package org.mamba4j.torch.train;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.cuda.GpuMemory;
import org.mamba4j.torch.parallel.Ranks;

/** How fast a model trains: whole steps (batch to the device, gradients, clipping, update, loss back) on random tokens. */
public final class TrainingBenchmark {
    private TrainingBenchmark() {}

    /**
     * What was measured.
     *
     * @param parameters numbers that are trained
     * @param tokensPerStep of one step
     * @param medianSeconds of a step
     * @param leastSeconds of a step
     * @param deviceBytes memory of the GPU in use afterwards, by all of this process; 0 on a CPU
     * @param firstLoss of the first step, nats
     * @param lastLoss of the last step: on the same batch again and again it falls
     */
    public record Result(
            long parameters,
            long tokensPerStep,
            double medianSeconds,
            double leastSeconds,
            long deviceBytes,
            double firstLoss,
            double lastLoss) {
        /** Tokens trained on per second, by the median. */
        public double tokensPerSecond() {
            return tokensPerStep / medianSeconds;
        }
    }

    /**
     * Trains on one random batch.
     *
     * @param settings {@code key=value} of a training configuration: device, precision, data.batch, data.length …
     * @param ranks that share the work, of which this is one
     * @param warmUp steps before the clock starts: kernels are compiled, graphs recorded
     * @param steps measured, at least 1
     */
    public static Result run(ModelConfig model, List<String> settings, Ranks ranks, int warmUp, int steps) {
        TrainConfig config = TrainConfig.ofDefaults(settings);
        BatchSource source =
                oneBatch(model.vocabSize(), config.data().batch(), config.data().length());
        Devices.check(config.device());
        boolean gpu = !config.device().equals("cpu");
        long free = gpu ? freeBytesAtFirst() : 0;
        try (Learner learner = new Learner(model, config, ranks)) {
            double first = 0;
            double last = 0;
            for (int step = 0; step < warmUp; step++) {
                double loss = learner.step(step, source).loss();
                first = step == 0 ? loss : first;
            }
            double[] seconds = new double[steps];
            for (int step = 0; step < steps; step++) {
                long start = System.nanoTime();
                last = learner.step(warmUp + step, source).loss();
                seconds[step] = (System.nanoTime() - start) * 1e-9;
            }
            Arrays.sort(seconds);
            return new Result(
                    learner.network().parameterCount(),
                    config.tokensPerStep(),
                    seconds[steps / 2],
                    seconds[0],
                    gpu ? free - GpuMemory.free() : 0,
                    first,
                    last);
        }
    }

    /** What an earlier measurement has left in the allocator is free too. */
    private static long freeBytesAtFirst() {
        GpuMemory.releaseUnused();
        return GpuMemory.free();
    }

    private static BatchSource oneBatch(int vocabulary, int rows, int length) {
        Random random = new Random(1);
        int[] inputs = random.ints((long) rows * length, 0, vocabulary).toArray();
        int[] targets = random.ints((long) rows * length, 0, vocabulary).toArray();
        Batch batch = Batch.of(rows, inputs, targets);
        return new BatchSource() {
            @Override
            public Batch batch(long index) {
                return batch;
            }

            @Override
            public long batchesPerEpoch() {
                return 1;
            }

            @Override
            public int vocabSize() {
                return vocabulary;
            }
        };
    }
}
