package org.mamba4j.torch.train;

import java.nio.file.Path;

/**
 * What happens during training, as it happens, on the training thread; all methods do nothing by default. An exception
 * thrown here ends the run.
 */
public interface TrainListener {
    /** A listener that ignores everything. */
    TrainListener SILENT = new TrainListener() {};

    /** Once, before the first step. */
    default void started(RunInfo run) {}

    /** After every step. */
    default void stepped(Progress progress) {}

    /** After a line was added to the metrics: every {@code metrics.every} steps and after every evaluation. */
    default void measured(Metrics metrics) {}

    /** After a checkpoint was written completely. */
    default void saved(int step, Path checkpoint) {}

    /** Something that the user should know, one line. */
    default void note(String line) {}

    /** Once, after the last checkpoint. */
    default void finished(TrainResult result) {}

    /**
     * What a run is.
     *
     * @param runFolder where everything is written
     * @param config as resolved: with all defaults, overrides and, for {@code schedule.minutes}, the steps
     * @param parameters number of trained values
     * @param trainTokens tokens of the training split
     * @param validTokens tokens of the validation split
     * @param firstStep steps already done when a run is resumed, 0 for a new one
     */
    record RunInfo(
            Path runFolder, TrainConfig config, long parameters, long trainTokens, long validTokens, int firstStep) {}

    /**
     * Where training stands.
     *
     * @param step steps done, counted from 1
     * @param steps steps of the whole run
     * @param loss of this step, nats per token
     * @param learningRate of this step
     * @param gradientNorm global norm before clipping
     * @param tokensPerSecond smoothed over the last steps
     * @param secondsLeft estimate until the last step, NaN before there is one
     */
    record Progress(
            int step,
            int steps,
            double loss,
            double learningRate,
            double gradientNorm,
            double tokensPerSecond,
            double secondsLeft) {}
}
