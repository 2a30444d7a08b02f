package org.mamba4j.torch.train;

import java.util.Locale;
import org.mamba4j.data.Windows;

/**
 * How many steps fit into {@code schedule.minutes}: measured on a copy of the model that is thrown away, before the run,
 * so that the run itself has a fixed number of steps like any other, and its learning rate comes down in time. The
 * number is saved with the run; only choosing it depends on the machine.
 */
final class Calibration {
    /** Share of the run's time that warming up may take, and measuring again. */
    private static final double SHARE = 0.03;

    private static final int LEAST_STEPS = 3;

    private Calibration() {}

    /** The configuration with its steps chosen, or as it is if none are to be. */
    static TrainConfig resolve(TrainConfig config, TrainingData data, TrainListener listener) {
        double minutes = config.schedule().minutes();
        if (minutes == 0) {
            return config;
        }
        double seconds = Math.clamp(60 * minutes * SHARE, 0.2, 20);
        listener.note(String.format(Locale.ROOT, "measuring the speed of this machine for %.0f s", 2 * seconds));
        Windows windows = data.training(config);
        try (Learner learner =
                new Learner(config.model().config(data.tokenizer().vocabSize()), config)) {
            // The first rounds run in the interpreter.
            measure(learner, windows, seconds);
            double perStep = measure(learner, windows, seconds);
            int least = config.schedule().warmupSteps() + 1;
            int steps = (int) Math.clamp(60 * minutes / perStep, least, Integer.MAX_VALUE);
            listener.note(String.format(
                    Locale.ROOT,
                    "%,.0f tokens/s: %,d steps take about %s",
                    config.tokensPerStep() / perStep,
                    steps,
                    ProgressLine.duration(steps * perStep)));
            return config.withSteps(steps);
        }
    }

    /** Seconds per step, over about {@code seconds}. */
    private static double measure(Learner learner, Windows windows, double seconds) {
        long start = System.nanoTime();
        int steps = 0;
        double elapsed = 0;
        while (elapsed < seconds || steps < LEAST_STEPS) {
            learner.step(steps, windows);
            steps++;
            elapsed = (System.nanoTime() - start) / 1e9;
        }
        return elapsed / steps;
    }
}
