package org.mamba4j.torch.train;

import java.time.Duration;
import org.mamba4j.torch.parallel.Ranks;

/**
 * What a session of a run has beside the run's configuration.
 *
 * @param ranks the processes that share the work, of which this is one
 * @param mixtures makes the tasks that the configuration may ask for
 * @param atMost time after which the session saves and ends, to be continued; checked after every step
 * @param listener sees what happens
 */
public record TrainSession(Ranks ranks, Mixtures mixtures, Duration atMost, TrainListener listener) {
    /** More than any run takes. */
    private static final Duration ENDLESS = Duration.ofDays(36_500);

    /** Text alone, to the run's end. */
    public static TrainSession of(TrainListener listener) {
        return new TrainSession(Ranks.alone(), Mixtures.NONE, ENDLESS, listener);
    }

    /** The same with tasks. */
    public TrainSession with(Mixtures tasks) {
        return new TrainSession(ranks, tasks, atMost, listener);
    }

    /** The same, but not longer than {@code limit}. */
    public TrainSession atMost(Duration limit) {
        return new TrainSession(ranks, mixtures, limit, listener);
    }

    /**
     * The same as one of several ranks, each of which has such a session of the same configuration. The result is that of
     * one rank but for the order in which float32 numbers are added. Rank 0 alone writes to the run's folder and tells its
     * listener.
     */
    public TrainSession among(Ranks others) {
        return new TrainSession(others, mixtures, atMost, others.isFirst() ? listener : TrainListener.SILENT);
    }
}
