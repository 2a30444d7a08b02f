package org.mamba4j.torch.train;

import java.time.Duration;

/**
 * What a session of a run has beside the run's configuration.
 *
 * @param mixtures makes the tasks that the configuration may ask for
 * @param atMost time after which the session saves and ends, to be continued; checked after every step
 * @param listener sees what happens
 */
public record TrainSession(Mixtures mixtures, Duration atMost, TrainListener listener) {
    /** More than any run takes. */
    private static final Duration ENDLESS = Duration.ofDays(36_500);

    /** Text alone, to the run's end. */
    public static TrainSession of(TrainListener listener) {
        return new TrainSession(Mixtures.NONE, ENDLESS, listener);
    }

    /** The same with tasks. */
    public TrainSession with(Mixtures tasks) {
        return new TrainSession(tasks, atMost, listener);
    }

    /** The same, but not longer than {@code limit}. */
    public TrainSession atMost(Duration limit) {
        return new TrainSession(mixtures, limit, listener);
    }
}
