package org.mamba4j.torch.train;

/** Trains a language model. */
public final class Trainer {
    private Trainer() {}

    /**
     * Starts a new run and carries it to its end, or to Ctrl-C.
     *
     * @throws org.mamba4j.UserError if the run folder already holds a run, the configuration does not fit the data, something
     *     cannot be written, or the loss is no number any more
     */
    public static TrainResult train(TrainConfig config, TrainListener listener) {
        try (RunFolder folder = RunFolder.open(config.out())) {
            listener.note("training is not there yet");
            return new TrainResult(folder.path(), folder.path(), folder.path(), 0, false, 0, 0, 0, 0, 0, 0);
        }
    }

    /**
     * Continues the run in {@code config.out()} from its newest sound checkpoint, bit for bit as if it had never been
     * interrupted; starts it if there is none.
     *
     * @throws org.mamba4j.UserError as {@link #train}, and if the configuration differs from the run's in a key that decides its
     *     result
     */
    public static TrainResult resume(TrainConfig config, TrainListener listener) {
        return train(config, listener);
    }
}
