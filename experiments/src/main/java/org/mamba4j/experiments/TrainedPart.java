package org.mamba4j.experiments;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.mamba4j.data.BatchSource;
import org.mamba4j.torch.train.TaskTraining;

/**
 * A part that trains a model on a source of batches and then measures it. It goes on in the middle of the training after a
 * pause, or after the process was killed.
 *
 * @param row the model
 * @param setting as {@link Part#setting}
 * @param seed of weights and everything else
 * @param settings {@code key=value} of the training, without seed and device
 * @param device where it runs
 * @param data what the source is, in words, with all numbers that decide its content
 * @param source to learn from
 * @param measurement afterwards
 */
public record TrainedPart(
        ModelRow row,
        String setting,
        long seed,
        List<String> settings,
        String device,
        String data,
        BatchSource source,
        Measurement measurement)
        implements Part {
    private static final double SAVE_EVERY_SECONDS = 120;
    private static final double WORTH_SAVING_SECONDS = 10;
    private static final int WARM_UP = 2;
    private static final int TIMED = 5;

    /** A projection takes at most about this share of the steps. */
    private static final int LEAST_STEPS_PER_TRIAL = 20;

    /** Says how good a trained model is. */
    @FunctionalInterface
    public interface Measurement {
        /** @param figures takes what is found */
        void measure(TaskTraining trained, PartRun run, Figures figures);
    }

    /** Takes figures of the part's model. */
    @FunctionalInterface
    public interface Figures {
        /** Whether there is one already, of a run that ended while measuring: then it need not be measured again. */
        default boolean has(String setting, String metric) {
            return false;
        }

        /** As {@link Result} has them. */
        void add(String setting, String metric, double value, double seconds);
    }

    /** Copies {@code settings}. */
    public TrainedPart {
        settings = List.copyOf(settings);
    }

    /** The same with other settings: those given replace those of the same keys. */
    TrainedPart withSettings(List<String> others) {
        List<String> all = new ArrayList<>(settings);
        all.addAll(others); // the last one of a key counts
        return new TrainedPart(row, setting, seed, all, device, data, source, measurement);
    }

    @Override
    public String model() {
        return row.name();
    }

    @Override
    public String recipe() {
        return row.json() + "; " + String.join(" ", settings) + "; " + data;
    }

    @Override
    public String hindrance() {
        return row.hindrance();
    }

    private TaskTraining open() {
        List<String> all = new ArrayList<>(settings);
        all.add("seed=" + seed);
        all.add("device=" + device);
        return new TaskTraining(row.config(), all, source);
    }

    @Override
    public double projectSeconds() {
        try (TaskTraining trial = open()) {
            int most = Math.max(1, trial.steps() / LEAST_STEPS_PER_TRIAL);
            for (int i = 0; i < Math.min(WARM_UP, most); i++) {
                trial.advance();
            }
            double[] took = new double[Math.min(TIMED, most)];
            for (int i = 0; i < took.length; i++) {
                long start = System.nanoTime();
                trial.advance();
                took[i] = (System.nanoTime() - start) * 1e-9;
            }
            Arrays.sort(took);
            return took[took.length / 2] * trial.steps();
        }
    }

    @Override
    public List<Result> run(PartRun run) {
        Path kept = run.folder();
        try (TaskTraining training = open()) {
            if (TaskTraining.isSaved(kept)) {
                training.load(kept);
            }
            double loss = train(training, run, kept);
            SavedFigures figures = new SavedFigures(kept, this, training.parameters());
            measurement.measure(training, run, figures);
            List<Result> results = new ArrayList<>(figures.results());
            results.add(new Result(
                    model(),
                    setting,
                    seed,
                    "training steps",
                    training.step(),
                    training.seconds(),
                    training.parameters()));
            results.add(new Result(
                    model(),
                    setting,
                    seed,
                    "training loss at the end, nats",
                    loss,
                    training.seconds(),
                    training.parameters()));
            return results;
        }
    }

    /** The loss at the end, smoothed; NaN where there was nothing left to do. */
    private static double train(TaskTraining training, PartRun run, Path kept) {
        double savedAt = training.seconds();
        double loss = Double.NaN;
        while (training.step() < training.steps()) {
            double now = training.advance();
            loss = Double.isNaN(loss) ? now : loss + 0.02 * (now - loss); // smoothed
            run.progress(
                    (double) training.step() / training.steps(),
                    String.format(Locale.ROOT, "step %,d of %,d, loss %.4f", training.step(), training.steps(), loss));
            boolean pause = run.isTimeUp();
            if (pause || training.seconds() - savedAt > SAVE_EVERY_SECONDS) {
                training.save(kept);
                savedAt = training.seconds();
            }
            if (pause) {
                throw run.pause();
            }
        }
        if (training.seconds() > WORTH_SAVING_SECONDS) {
            training.save(kept); // a measurement that fails must not cost the training
        }
        return loss;
    }
}
