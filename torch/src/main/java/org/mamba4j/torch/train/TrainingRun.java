package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Windows;
import org.mamba4j.torch.parallel.Ranks;
import org.mamba4j.torch.parallel.StopSignal;
import org.mamba4j.torch.train.TrainListener.Progress;
import org.mamba4j.torch.train.TrainerState.Evaluation;

/**
 * The loop: steps, evaluations, metrics and checkpoints of one session of a run, from where the newest checkpoint left
 * it to its end or to the wish of the user.
 *
 * <p>What decides the weights is a function of configuration and step alone (learning rate, batch) or stands in the
 * checkpoint (weights, optimiser, random state), so a session that continues another does exactly what that one would
 * have done.
 */
final class TrainingRun implements AutoCloseable {
    static final String STATE = "trainer.json";
    private static final long SECOND = 1_000_000_000L;

    private final TrainConfig config;
    private final Ranks ranks;
    private final TrainListener listener;
    private final RunFolder folder;
    private final TrainingData data;
    private final Learner learner;
    private final Checkpoints checkpoints;
    private final MetricsLog log;
    private final BatchSource train;
    private final Optional<BatchSource> questions;
    private final Duration atMost;
    private final NoteMetrics noteMetrics;
    private final int steps;

    private int step;
    private long tokens;
    private double seconds;
    private double lossSum;
    private int lossCount;
    private Evaluation valid = Evaluation.NONE;

    private int validStep = -1;
    private boolean plotFailed;
    private double lastRate;
    private double lastNorm;
    private double secondsPerStep = Double.NaN;
    private double secondsSinceLine;
    private int stepsSinceLine;

    /**
     * Prepares a session.
     *
     * @param config as resolved
     * @param from the checkpoint to continue from; empty for a new run
     */
    TrainingRun(TrainConfig config, RunFolder folder, TrainingData data, Optional<Path> from, TrainSession session)
            throws IOException {
        this.config = config;
        this.ranks = session.ranks();
        this.listener = session.listener();
        this.noteMetrics = new NoteMetrics(session.listener(), config.notes().denseUntil());
        this.atMost = session.atMost();
        this.folder = folder;
        this.data = data;
        this.checkpoints = Checkpoints.of(folder.path());
        this.steps = config.schedule().steps();
        this.train = data.training(config, session.mixtures());
        this.questions = data.questions(config, session.mixtures());
        this.learner = new Learner(config.model().config(data.tokenizer().vocabSize()), config, ranks);
        try {
            if (from.isPresent()) {
                load(from.get());
            }
            this.log = ranks.isFirst() ? begin() : MetricsLog.unwritten();
        } catch (IOException | RuntimeException e) {
            learner.close();
            throw e;
        }
    }

    /** From here on the folder holds a run: nothing is left that the configuration could be wrong in. */
    private MetricsLog begin() throws IOException {
        AtomicFile.writeString(folder.file(RunFolder.CONFIG), config.toYaml());
        return MetricsLog.open(folder.path(), step, config.metrics().tensorboard(), System.currentTimeMillis());
    }

    private void load(Path checkpoint) throws IOException {
        Path file = checkpoint.resolve(STATE);
        TrainerState state = TrainerState.parse(Files.readString(file), file.toString());
        if (!state.data().equals(data.fingerprint())) {
            throw new UserError("the text of " + config.data().path() + " is not what " + folder.path()
                    + " was trained on: restore it, or start a new run with --set out=FOLDER");
        }
        learner.load(checkpoint);
        step = state.step();
        tokens = state.tokens();
        seconds = state.seconds();
        lossSum = state.lossSum();
        lossCount = state.lossCount();
        valid = state.valid();
        validStep = Checkpoints.read(checkpoint)
                .filter(saved -> !Double.isNaN(saved.validLoss()))
                .map(Checkpoints.Saved::step)
                .orElse(-1);
        if (ranks.isFirst()) {
            Files.copy(
                    checkpoint.resolve(MetricsLog.FILE),
                    folder.file(MetricsLog.FILE),
                    StandardCopyOption.REPLACE_EXISTING);
        }
    }

    TrainResult run() throws IOException {
        listener.started(new TrainListener.RunInfo(
                folder.path(),
                config,
                learner.network().parameterCount(),
                data.split().train().size(),
                data.split().valid().size(),
                step));
        boolean finished = step >= steps;
        long begun = System.nanoTime();
        try (StopSignal stop = new StopSignal()) {
            ranks.watch(stop::isRequested);
            if (step > 0 && validStep < step && (finished || isSaveDue() || isEvaluationDue()) && evaluate(stop)) {
                // The session before was asked to stop while it evaluated this step.
                save();
                draw();
            }
            while (!finished && !ranks.isAsked()) {
                step();
                finished = step == steps;
                if (Duration.ofNanos(System.nanoTime() - begun).compareTo(atMost) >= 0) {
                    stop.request();
                }
                boolean save = finished || isSaveDue() || ranks.isAsked();
                if (config.isMeasured(step)) {
                    logTraining();
                }
                boolean evaluated = (save || isEvaluationDue()) && evaluate(stop);
                // Asked for while the evaluation ran: save as well.
                if (save || ranks.isAsked()) {
                    save();
                }
                if (evaluated) {
                    draw();
                }
            }
            boolean stopped = ranks.isAsked() && !finished;
            ranks.sum(); // until rank 0 has saved
            TrainResult result = result(finished);
            if (stopped) {
                listener.note("stopped as asked: step " + step + " of " + steps + " is saved in "
                        + result.lastCheckpoint() + "; continue with --resume");
            }
            listener.finished(result);
            return result;
        }
    }

    private boolean isSaveDue() {
        return step % config.checkpoints().every() == 0;
    }

    private boolean isEvaluationDue() {
        return step % config.evaluation().every() == 0;
    }

    private void step() {
        long start = System.nanoTime();
        double rate = config.rates().rate(step);
        Descent.Step done = learner.step(step, train);
        if (!done.isFinite()) {
            throw diverged(done, rate);
        }
        double took = (System.nanoTime() - start) / (double) SECOND;
        step++;
        tokens += config.tokensPerStep();
        seconds += took;
        lossSum += done.loss();
        lossCount++;
        secondsSinceLine += took;
        stepsSinceLine++;
        // The first step is slow for reasons of its own; the mean forgets it quickly.
        secondsPerStep = Double.isNaN(secondsPerStep) ? took : secondsPerStep + 0.05 * (took - secondsPerStep);
        lastRate = rate;
        lastNorm = done.gradientNorm();
        listener.stepped(new Progress(
                step,
                steps,
                done.loss(),
                rate,
                done.gradientNorm(),
                config.tokensPerStep() / secondsPerStep,
                (steps - step) * secondsPerStep));
    }

    private UserError diverged(Descent.Step done, double rate) {
        String last = checkpoints.list().isEmpty()
                ? "no checkpoint was written yet"
                : "the last good checkpoint is " + checkpoints.list().getLast().folder();
        return new UserError("step " + (step + 1) + ": the loss is " + done.loss() + " and the gradient's norm "
                + done.gradientNorm() + " at learning rate " + rate + "; " + last
                + "; continue with --resume and a smaller --set optimiser.lr, or a smaller optimiser.clip_norm");
    }

    private void logTraining() throws IOException {
        Map<String, Double> values = new LinkedHashMap<>();
        values.put(Metrics.TRAIN_LOSS, lossSum / lossCount);
        values.put(Metrics.GRADIENT_NORM, lastNorm);
        values.put(Metrics.LEARNING_RATE, lastRate);
        values.put(Metrics.TOKENS, (double) tokens);
        values.put(
                Metrics.TOKENS_PER_SECOND, stepsSinceLine * config.tokensPerStep() / Math.max(1e-9, secondsSinceLine));
        values.put(Metrics.SECONDS, seconds);
        noteMetrics.add(learner.notes(), (double) (step - 1) / steps, values);
        lossSum = 0;
        lossCount = 0;
        secondsSinceLine = 0;
        stepsSinceLine = 0;
        add(values);
    }

    /**
     * Measures all validation windows, each rank a part of them; if the user wants to stop meanwhile, the evaluation is
     * dropped.
     *
     * @return whether it was made
     */
    private boolean evaluate(StopSignal stop) throws IOException {
        if (data.validation().isEmpty() || ranks.isAsked()) {
            return false;
        }
        Windows windows = data.validation().get();
        double sum = 0;
        long count = 0;
        boolean dropped = false;
        for (long i = ranks.rank(); i < windows.batchesPerEpoch() && !dropped; i += ranks.size()) {
            dropped = stop.isRequested();
            if (!dropped) {
                var batch = windows.batch(i);
                sum += learner.evaluate(batch);
                count += (long) batch.rows() * batch.length();
            }
        }
        double[] total = ranks.sum(sum, (double) count, dropped ? 1 : 0);
        if (total[2] > 0) {
            valid = Evaluation.NONE;
            return false;
        }
        double loss = total[0] / total[1];
        double bits = loss / Math.log(2);
        double tokensPerByte =
                data.split().valid().size() / (double) data.split().valid().textBytes();
        Evaluation measured = new Evaluation(loss, bits * tokensPerByte);
        if (!Double.isFinite(loss)) {
            throw new UserError("step " + step + ": the validation loss is " + loss
                    + "; continue from an earlier checkpoint with --resume and a smaller --set optimiser.lr");
        }
        Map<String, Double> values = new LinkedHashMap<>();
        values.put(Metrics.VALID_LOSS, loss);
        values.put(Metrics.VALID_BITS_PER_TOKEN, bits);
        values.put(Metrics.VALID_BITS_PER_BYTE, measured.bitsPerByte());
        values.put(Metrics.VALID_PERPLEXITY, Math.exp(loss));
        if (questions.isPresent() && !addAnswers(questions.get(), values, stop)) {
            valid = Evaluation.NONE;
            return false;
        }
        valid = measured;
        validStep = step;
        add(values);
        return true;
    }

    /** @return whether all were asked */
    private boolean addAnswers(BatchSource source, Map<String, Double> values, StopSignal stop) {
        int batches = Math.ceilDiv(config.evaluation().windows(), config.data().batch());
        Answers all = Answers.NONE;
        boolean dropped = false;
        for (int i = ranks.rank(); i < batches && !dropped; i += ranks.size()) {
            dropped = stop.isRequested();
            all = dropped ? all : all.and(learner.answers(source.batch(i)));
        }
        if (ranks.sum(dropped ? 1 : 0)[0] > 0) {
            return false;
        }
        all = all.over(ranks);
        values.put(Metrics.VALID_ANSWER_LOSS, all.meanLoss());
        values.put(Metrics.VALID_ANSWER_TOKENS, all.shareOfTokens());
        values.put(Metrics.VALID_ANSWERS, all.shareOfAnswers());
        return true;
    }

    /** Draws the curves; a run does not end because its picture cannot be drawn. */
    private void draw() {
        if (!ranks.isFirst() || !config.metrics().plot()) {
            return;
        }
        Path picture = folder.file(RunFolder.LOSS_CURVE);
        String unit = config.data().tokenizer().equals(TrainingData.BYTES) ? "byte" : "token";
        try {
            LossCurve.write(picture, folder.path().toString(), unit, log.history());
        } catch (IOException | RuntimeException | LinkageError e) { // a Java without fonts fails in native code
            if (!plotFailed) {
                listener.note("cannot draw " + picture + " (" + RunFolder.reason(e) + "): going on without it");
            }
            plotFailed = true;
        }
    }

    private void add(Map<String, Double> values) throws IOException {
        Metrics metrics = new Metrics(step, System.currentTimeMillis(), values);
        log.add(metrics);
        listener.measured(metrics);
    }

    private void save() throws IOException {
        if (!ranks.isFirst()) {
            return;
        }
        log.force();
        TrainerState state = new TrainerState(
                step,
                config.seed(),
                data.fingerprint(),
                (long) step * config.optimiser().accumulate(),
                config.rates().rate(step),
                tokens,
                seconds,
                lossSum,
                lossCount,
                valid);
        double loss = validStep == step ? valid.loss() : Double.NaN;
        Path saved = checkpoints.save(step, loss, config.checkpoints().keep(), temporary -> {
            learner.save(temporary);
            data.saveTokenizer(temporary);
            AtomicFile.writeString(temporary.resolve(STATE), state.toJson());
            AtomicFile.writeString(temporary.resolve(RunFolder.CONFIG), config.toYaml());
            Files.copy(folder.file(MetricsLog.FILE), temporary.resolve(MetricsLog.FILE));
        });
        listener.saved(step, saved);
    }

    private TrainResult result(boolean finished) {
        var all = checkpoints.list();
        // Interrupted before the first step: there is nothing but the folder.
        Path last = all.isEmpty() ? folder.path() : all.getLast().folder();
        var best = checkpoints.best();
        return new TrainResult(
                folder.path(),
                last,
                best.map(Checkpoints.Saved::folder).orElse(last),
                step,
                finished,
                lastLogged(),
                valid.loss(),
                valid.bitsPerByte(),
                best.map(Checkpoints.Saved::validLoss).orElse(Double.NaN),
                tokens,
                seconds);
    }

    private double lastLogged() {
        double loss = Double.NaN;
        for (Metrics metrics : log.history()) {
            double logged = metrics.get(Metrics.TRAIN_LOSS);
            loss = Double.isNaN(logged) ? loss : logged;
        }
        return loss;
    }

    @Override
    public void close() throws IOException {
        learner.close();
        log.close();
    }
}
