package org.mamba4j.torch.train;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.parallel.Ranks;

/**
 * A model that learns from any {@link BatchSource}, step by step: what {@link Trainer} does without its text, run folder
 * and log, for experiments that make up their data. The steps are the same ones: same optimiser, same schedule, on a GPU
 * the same recorded graphs.
 *
 * <p>{@link #save} and {@link #load} carry a training from one process to the next bit for bit.
 */
public final class TaskTraining implements AutoCloseable {
    private static final String PROGRESS = "training.json";

    private final TrainConfig config;
    private final BatchSource source;
    private final Learner learner;
    private int step;
    private double seconds;

    /**
     * A new model with its initial weights.
     *
     * @param settings {@code key=value} of a training configuration: seed, device, optimiser.lr, schedule.steps …; those
     *     of text, mixture, evaluation and checkpoints mean nothing here
     * @throws UserError if a setting is unknown or out of range, or there is no such device
     */
    public TaskTraining(ModelConfig model, List<String> settings, BatchSource source) {
        if (source.vocabSize() > model.vocabSize()) {
            throw new UserError("the data has " + source.vocabSize()
                    + " kinds of tokens, but the model's vocab_size is " + model.vocabSize());
        }
        this.config = TrainConfig.ofDefaults(settings);
        this.source = source;
        Devices.check(config.device());
        this.learner = new Learner(model, config, Ranks.alone());
    }

    /** Steps done. */
    public int step() {
        return step;
    }

    /** Steps of the whole training. */
    public int steps() {
        return config.schedule().steps();
    }

    /** Time that the steps took, over all processes, in seconds. */
    public double seconds() {
        return seconds;
    }

    /** Numbers that are trained. */
    public long parameters() {
        return learner.network().parameterCount();
    }

    /** The model as it is now; belongs to this training. */
    public LanguageNetwork network() {
        return learner.network();
    }

    /** Where it runs. */
    public String device() {
        return config.device();
    }

    /**
     * One step.
     *
     * @return the mean loss over its batches, nats
     * @throws UserError if loss or gradient are no numbers any more
     */
    public double advance() {
        long start = System.nanoTime();
        Descent.Step done = learner.step(step, source);
        if (!done.isFinite()) {
            throw new UserError("step " + (step + 1) + ": the loss is " + done.loss() + " and the gradient's norm "
                    + done.gradientNorm() + " at learning rate "
                    + config.rates().rate(step)
                    + ": train with a smaller one");
        }
        step++;
        seconds += (System.nanoTime() - start) * 1e-9;
        return done.loss();
    }

    /** How the model answers a batch, whose answers are what has a weight. */
    public Answers answers(Batch batch) {
        return learner.answers(batch);
    }

    /** Mean loss over all tokens of a batch (its weighted sum, if it has weights), nats. */
    public double loss(Batch batch) {
        return learner.evaluate(batch) / ((double) batch.rows() * batch.length());
    }

    /**
     * Writes weights, optimiser and where the training stands.
     *
     * @param folder made if it is not there
     */
    public void save(Path folder) {
        AtomicFile.makeFolderOf(folder.resolve(PROGRESS));
        learner.save(folder);
        JsonObject progress =
                JsonObject.builder().put("step", step).put("seconds", seconds).build();
        AtomicFile.writeString(folder.resolve(PROGRESS), JsonText.pretty(progress) + "\n");
    }

    /** Whether {@link #save} has written there. */
    public static boolean isSaved(Path folder) {
        return Files.exists(folder.resolve(PROGRESS));
    }

    /** Continues where {@link #save} has written a training of the same model and settings. */
    public void load(Path folder) {
        Path file = folder.resolve(PROGRESS);
        JsonFields progress = JsonFields.of(Json.read(file), file.toString());
        learner.load(folder);
        step = (int) progress.integer("step", 0, steps());
        seconds = progress.decimal("seconds");
    }

    @Override
    public void close() {
        learner.close();
    }
}
