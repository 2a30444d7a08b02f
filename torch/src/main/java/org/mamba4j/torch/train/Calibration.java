package org.mamba4j.torch.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.mamba4j.data.BatchSource;
import org.mamba4j.torch.parallel.Ranks;

/**
 * How many steps fit into {@code schedule.minutes}: measured on a copy of the model that is thrown away, before the run,
 * so that the run itself has a fixed number of steps like any other, and its learning rate comes down in time. The
 * number is saved with the run; only choosing it depends on the machine. Measured on windows of text of the full length,
 * whatever the run's mixture and lengths on the way: a token's cost hardly depends on either.
 */
final class Calibration {
    /** Share of the run's time that warming up takes: until the kernels are compiled, a step takes several times as long. */
    private static final double WARMUP = 0.08;

    /** Share of the run's time that measuring takes. */
    private static final double MEASURING = 0.04;

    private static final double LEAST_SECONDS = 0.1;
    private static final double MOST_SECONDS = 20;

    private static final int LEAST_STEPS = 3;

    private Calibration() {}

    /** The configuration with its steps chosen, or as it is if none are to be. */
    static TrainConfig resolve(TrainConfig config, TrainingData data, Ranks ranks, TrainListener listener) {
        double minutes = config.schedule().minutes();
        if (minutes == 0) {
            return config;
        }
        double warmup = seconds(minutes, WARMUP);
        double measuring = seconds(minutes, MEASURING);
        listener.note(String.format(
                Locale.ROOT,
                "measuring the speed of this machine for %.0f s, to choose the steps that take %s minutes",
                warmup + measuring,
                ConfigWriter.scalar(minutes)));
        BatchSource windows = data.text();
        try (Learner learner =
                new Learner(config.model().config(data.tokenizer().vocabSize()), config, ranks)) {
            measure(learner, windows, warmup, ranks);
            double perStep = measure(learner, windows, measuring, ranks);
            int least = config.schedule().warmupSteps() + 1;
            int steps = (int) Math.clamp(60 * minutes / perStep, least, Integer.MAX_VALUE);
            listener.note(String.format(
                    Locale.ROOT,
                    "%,.0f tokens/s: %,d steps take about %s",
                    config.tokensPerStep() / perStep,
                    steps,
                    ProgressLine.duration(steps * perStep)));
            return config.withSchedule(steps, minutes);
        }
    }

    private static double seconds(double minutes, double share) {
        return Math.clamp(60 * minutes * share, LEAST_SECONDS, MOST_SECONDS);
    }

    /** Seconds per step, the mean of the faster half: whatever disturbs a step makes it slower, never faster. */
    private static double measure(Learner learner, BatchSource windows, double seconds, Ranks ranks) {
        long start = System.nanoTime();
        List<Double> took = new ArrayList<>();
        while (took.size() < LEAST_STEPS || ofFirst(seconds - (System.nanoTime() - start) / 1e9, ranks) > 0) {
            long begun = System.nanoTime();
            learner.step(took.size(), windows);
            took.add((System.nanoTime() - begun) / 1e9);
        }
        double mean = took.stream()
                .sorted()
                .limit((took.size() + 1) / 2)
                .mapToDouble(Double::doubleValue)
                .average()
                .orElseThrow();
        return ofFirst(mean, ranks);
    }

    /** What rank 0 has measured, so that all ranks draw the same conclusion. */
    private static double ofFirst(double measured, Ranks ranks) {
        return ranks.sum(ranks.isFirst() ? measured : 0)[0];
    }
}
