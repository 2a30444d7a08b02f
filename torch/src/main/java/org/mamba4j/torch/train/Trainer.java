package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.mamba4j.UserError;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.parallel.WorkShare;

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
     * @throws org.mamba4j.torch.parallel.LostRankException if other ranks were there and are not any more
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

    /** @throws UserError if so many ranks cannot share the work of a step */
    public static void checkRanks(TrainConfig config, int ranks) {
        WorkShare.check(ranks, config.optimiser().accumulate(), config.data().batch());
        if (ranks > 1 && config.model().config(1) instanceof MemMambaConfig) {
            throw new UserError(ranks + " ranks cannot train a memmamba: its thresholds follow whole batches, one after"
                    + " another; train it with one");
        }
    }

    private static TrainResult run(TrainConfig given, boolean resume, TrainSession session) {
        checkRanks(given, session.ranks().size());
        try {
            return session.ranks().isFirst() ? first(given, resume, session) : follow(given, session);
        } catch (IOException e) {
            throw new UserError(
                    "cannot write to the run folder " + given.out() + " (" + RunFolder.reason(e)
                            + "): make room or make it writable, then continue with --resume",
                    e);
        }
    }

    private static TrainResult first(TrainConfig given, boolean resume, TrainSession session) throws IOException {
        try (RunFolder folder = RunFolder.open(given.out())) {
            if (!resume && folder.hasRun()) {
                throw new UserError(folder.path() + " already holds a run: continue it with --resume, or give another"
                        + " folder with --set out=FOLDER");
            }
            return locked(given, folder, session);
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
                Optional<Path> from = checkpoints.newestSound(listener::note).map(Checkpoints.Saved::folder);
                if (begun && from.isEmpty()) {
                    listener.note("no checkpoint in " + folder.path() + " yet: starting with the first step");
                }
                // The folder is ready: the other ranks may look at it.
                Start start = new Start(
                        begun, data.fingerprint(), from.map(Path::toString).orElse(""));
                session.ranks().fromFirst(start.toString());
                run = start(merged, start, data, folder, session);
            } catch (IOException | RuntimeException e) {
                data.discard();
                throw e;
            }
            try (run) {
                return run.run();
            }
        }
    }

    /** The session of a rank that is not the first: the same steps, and not a word. */
    private static TrainResult follow(TrainConfig given, TrainSession session) throws IOException {
        Ranks ranks = session.ranks();
        Start start = Start.parse(ranks.fromFirst(""));
        try (RunFolder folder = RunFolder.ofAnotherRank(given.out())) {
            TrainConfig merged = start.begun() ? merge(given, folder, TrainListener.SILENT) : given;
            try (TrainingData data = TrainingData.open(merged, folder)) {
                if (!data.fingerprint().equals(start.data())) {
                    throw new UserError("rank " + ranks.rank() + " reads another text from "
                            + merged.data().path() + " than rank 0: give all hosts the same files");
                }
                try (TrainingRun run = start(merged, start, data, folder, session)) {
                    return run.run();
                }
            }
        }
    }

    private static TrainingRun start(
            TrainConfig merged, Start start, TrainingData data, RunFolder folder, TrainSession session)
            throws IOException {
        TrainConfig config =
                start.begun() ? merged : Calibration.resolve(merged, data, session.ranks(), session.listener());
        Optional<Path> from =
                Optional.of(start.checkpoint()).filter(path -> !path.isEmpty()).map(Path::of);
        return new TrainingRun(config, folder, data, from, session);
    }

    /**
     * What rank 0 tells the others.
     *
     * @param begun whether there is a run to continue
     * @param data fingerprint of the tokens
     * @param checkpoint to continue from; empty to start with the first step
     */
    private record Start(boolean begun, String data, String checkpoint) {
        static Start parse(String text) {
            String[] lines = text.split("\n", 3);
            return new Start(Boolean.parseBoolean(lines[0]), lines[1], lines[2]);
        }

        @Override
        public String toString() {
            return begun + "\n" + data + "\n" + checkpoint;
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
