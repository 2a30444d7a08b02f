package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.mamba4j.UserError;

/**
 * Trains a language model: the way in.
 *
 * <p>A run is a folder. One call is a session of it, which ends with the last step, with its time or Ctrl-C (after the
 * step at hand, with a checkpoint) or with the process; the next session continues bit for bit where the newest checkpoint stands.
 */
public final class Trainer {
    private Trainer() {}

    /**
     * Starts a new run and carries it to its end, to that of the session's time, or to Ctrl-C.
     *
     * @throws UserError if the run folder already holds a run, the configuration does not fit the data, something
     *     cannot be written, or the loss is no number any more
     */
    public static TrainResult train(TrainConfig config, TrainSession session) {
        return run(config, false, session);
    }

    /** The same on text alone, to the run's end. */
    public static TrainResult train(TrainConfig config, TrainListener listener) {
        return train(config, TrainSession.of(listener));
    }

    /**
     * Continues the run in {@code config.out()} from its newest sound checkpoint, bit for bit as if it had never been
     * interrupted; starts it if there is none. A run that is finished is left as it is.
     *
     * @throws UserError as {@link #train}, and if the configuration differs from the run's in a key that decides its
     *     result
     */
    public static TrainResult resume(TrainConfig config, TrainSession session) {
        return run(config, true, session);
    }

    /** The same on text alone, to the run's end. */
    public static TrainResult resume(TrainConfig config, TrainListener listener) {
        return resume(config, TrainSession.of(listener));
    }

    private static TrainResult run(TrainConfig given, boolean resume, TrainSession session) {
        try (RunFolder folder = RunFolder.open(given.out())) {
            if (!resume && folder.hasRun()) {
                throw new UserError(folder.path() + " already holds a run: continue it with --resume, or give another"
                        + " folder with --set out=FOLDER");
            }
            return locked(given, folder, session);
        } catch (IOException e) {
            throw new UserError(
                    "cannot write to the run folder " + given.out() + " (" + RunFolder.reason(e)
                            + "): make room or make it writable, then continue with --resume",
                    e);
        }
    }

    private static TrainResult locked(TrainConfig given, RunFolder folder, TrainSession session) throws IOException {
        TrainListener listener = session.listener();
        Checkpoints checkpoints = Checkpoints.of(folder.path());
        checkpoints.sweep();
        boolean begun = folder.hasRun() && Files.exists(folder.file(RunFolder.CONFIG));
        TrainConfig merged = begun ? merge(given, folder, listener) : given;
        try (TrainingData data = TrainingData.open(merged, folder)) {
            TrainingRun run;
            try {
                Optional<Checkpoints.Saved> from = checkpoints.newestSound(listener::note);
                if (begun && from.isEmpty()) {
                    listener.note("no checkpoint in " + folder.path() + " yet: starting with the first step");
                }
                TrainConfig config = begun ? merged : Calibration.resolve(merged, data, listener);
                run = new TrainingRun(config, folder, data, from, session);
            } catch (IOException | RuntimeException e) {
                data.discard();
                throw e;
            }
            try (run) {
                return run.run();
            }
        }
    }

    /** The given configuration, if it may continue the run that was begun with another. */
    private static TrainConfig merge(TrainConfig given, RunFolder folder, TrainListener listener) {
        Path file = folder.file(RunFolder.CONFIG);
        TrainConfig saved = TrainConfig.load(file, List.of());
        TrainConfig merged = given;
        if (given.schedule().minutes() > 0) {
            // The steps were chosen when the run began; measuring again would give others.
            TrainConfig.Course course = saved.schedule();
            merged = given.withSchedule(course.steps(), course.minutes());
            if (course.minutes() != given.schedule().minutes()) {
                listener.note("schedule.minutes = "
                        + ConfigWriter.scalar(given.schedule().minutes())
                        + " changes nothing: the steps of this run are fixed at " + course.steps()
                        + "; change them with --set schedule.steps");
            }
        }
        Map<String, String> before = ConfigKeys.values(saved);
        Map<String, String> after = ConfigKeys.values(merged);
        List<String> refused = new ArrayList<>();
        for (ConfigKeys.Key key : ConfigKeys.ofTraining()) {
            String was = String.valueOf(before.get(key.name()));
            String is = String.valueOf(after.get(key.name()));
            if (!was.equals(is) && !key.mayChange()) {
                refused.add(key.name() + " was " + was + ", is " + is);
            } else if (!was.equals(is) && !key.name().equals("out")) {
                listener.note("resumed with another " + key.name() + ": " + is + ", was " + was);
            }
        }
        if (!refused.isEmpty()) {
            throw new UserError("the run in " + folder.path() + " cannot continue with another configuration ("
                    + String.join("; ", refused) + "): restore it, or start a new run with --set out=FOLDER");
        }
        return merged;
    }
}
