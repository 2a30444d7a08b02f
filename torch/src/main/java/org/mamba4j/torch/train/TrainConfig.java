package org.mamba4j.torch.train;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.torch.kernel.Precision;

/**
 * All that decides a training run. The components' {@link Describe} annotations hold meaning, default, unit and limits
 * of every key; keys in YAML are the components' names in snake case.
 *
 * @param out see the annotation, like all others
 */
public record TrainConfig(
        @Describe(
                value = "folder that the run is written to: checkpoints, metrics, curves, this configuration",
                mayChange = true)
        Path out,

        @Describe(
                value = "the one seed of the run: initial weights and order of the data follow from it",
                byDefault = "1",
                min = 0)
        long seed,

        @Describe(
                value = "CPU threads; the result of a run depends on it in the last bits, 0 takes all processors",
                byDefault = "0",
                unit = "threads",
                min = 0,
                max = 4096)
        int threads,

        @Describe(value = "where it trains: cpu, cuda or cuda:N", byDefault = "cpu", mayChange = true)
        String device,

        @Describe(
                value = "of activations and matrix products; weights and their updates are float32",
                byDefault = "float32")
        Precision precision,

        @Describe(
                value = "whether layers run forward again on the way back instead of keeping what they computed: less"
                        + " memory, a third more time; for Mamba on a GPU",
                byDefault = "false",
                mayChange = true)
        boolean recompute,

        ModelSection model,
        Data data,
        Mixture mixture,
        Optimiser optimiser,
        Course schedule,
        Notes notes,
        Evaluation evaluation,
        Saving checkpoints,
        Measuring metrics) {

    /** The ids of one batch fit into 1 GiB; no machine has room for the activations of more. */
    private static final long MAX_BATCH_TOKENS = 1 << 28;

    /**
     * Reads a configuration file.
     *
     * @param file YAML; keys that it lacks take their defaults
     * @param overrides {@code key=value} with dotted keys, applied after the file, in order; one of schedule.steps
     *     sets schedule.minutes to 0
     * @throws UserError naming the file (or the override), key, value and what is allowed, if the file cannot be read,
     *     is not YAML, has an unknown key or a value of the wrong type or out of range
     */
    public static TrainConfig load(Path file, List<String> overrides) {
        TrainConfig config = ConfigReader.read(TrainConfig.class, file, overrides);
        if (config.schedule().minutes() != 0 && ConfigReader.isSet("schedule.steps", overrides)) {
            if (ConfigReader.isSet("schedule.minutes", overrides)) {
                throw new UserError(
                        "--set schedule.steps and --set schedule.minutes exclude each other: give only one");
            }
            config = config.withSchedule(config.schedule().steps(), 0);
        }
        return config.checked(file.toString());
    }

    /**
     * The defaults of all keys, for what trains on no text and writes no run.
     *
     * @param settings {@code key=value} with dotted keys
     */
    static TrainConfig ofDefaults(List<String> settings) {
        String yaml = "out: unused\ndata:\n  path: unused\nmodel:\n  hidden_size: 8\n  num_hidden_layers: 1\n";
        return ConfigReader.read(TrainConfig.class, yaml, "settings", settings).checked("settings");
    }

    /** This configuration as YAML with every key commented; {@link #load} reads it back. */
    public String toYaml() {
        return ConfigWriter.yaml(this);
    }

    private TrainConfig checked(String source) {
        try {
            model.config(1);
        } catch (UserError e) {
            throw new UserError(source + ": " + e.getMessage(), e);
        }
        if (optimiser.beta1() >= 1 || optimiser.beta2() >= 1) {
            throw new UserError(source + ": optimiser.beta1 and beta2 must be below 1, are " + optimiser.beta1()
                    + " and " + optimiser.beta2());
        }
        if ((long) data.batch() * data.length() > MAX_BATCH_TOKENS) {
            throw new UserError(source + ": data.batch (" + data.batch() + ") times data.length (" + data.length()
                    + ") must not exceed " + MAX_BATCH_TOKENS
                    + " tokens: use a smaller batch and optimiser.accumulate");
        }
        try {
            course();
            mixture.keysByPhase();
        } catch (UserError e) {
            throw new UserError(source + ": " + e.getMessage(), e);
        }
        if (mixture.passkey() + mixture.documents() > 1) {
            throw new UserError(source + ": mixture.passkey (" + mixture.passkey() + ") and mixture.documents ("
                    + mixture.documents() + ") are shares of one whole: together they must not exceed 1");
        }
        if (schedule.minLr() > optimiser.lr()) {
            throw new UserError(source + ": schedule.min_lr (" + schedule.minLr() + ") must not exceed optimiser.lr ("
                    + optimiser.lr() + ")");
        }
        if (schedule.minutes() == 0 && schedule.warmupSteps() >= schedule.steps()) {
            throw new UserError(source + ": schedule.warmup_steps (" + schedule.warmupSteps()
                    + ") must be smaller than schedule.steps (" + schedule.steps() + ")");
        }
        return this;
    }

    /** The learning rate by step. */
    public Schedule rates() {
        return new Schedule(
                schedule.shape(), optimiser.lr(), schedule.minLr(), schedule.warmupSteps(), schedule.steps());
    }

    /** Whether metrics are written after {@code step} steps. */
    boolean isMeasured(int step) {
        return step % metrics.every() == 0 || step == schedule.steps();
    }

    /** The shapes of the run's batches. */
    LengthCourse course() {
        return LengthsOnTheWay.parse(data.lengths(), data.length(), data.batch())
                .course(schedule.steps(), optimiser.accumulate());
    }

    /** The same with another length. */
    TrainConfig withSchedule(int steps, double minutes) {
        Course changed = new Course(schedule.shape(), steps, minutes, schedule.warmupSteps(), schedule.minLr());
        return new TrainConfig(
                out,
                seed,
                threads,
                device,
                precision,
                recompute,
                model,
                data,
                mixture,
                optimiser,
                changed,
                notes,
                evaluation,
                checkpoints,
                metrics);
    }

    /** Tokens that one step trains on. */
    public long tokensPerStep() {
        return (long) data.batch() * data.length() * optimiser.accumulate();
    }

    /** What is trained on. */
    public record Data(
            @Describe(
                    value = "a text file, a folder, a glob or a zip; ARCHIVE.zip!GLOB takes a part of a zip",
                    mayChange = true)
            String path,

            @Describe(value = "bytes, or the path of a tokenizer.json (or of its folder)", byDefault = "bytes")
            String tokenizer,

            @Describe(
                    value = "share of the documents that is kept out of training for validation",
                    byDefault = "0.05",
                    min = 1e-6,
                    max = 0.9)
            double validFraction,

            @Describe(
                    value = "length of a training window, and of those that validate",
                    byDefault = "256",
                    unit = "tokens",
                    min = 1,
                    max = 1 << 24)
            int length,

            @Describe(
                    value = "lengths on the way, as LENGTH@SHARE of the steps from which it holds, separated by commas;"
                            + " each batch has batch x length tokens; constant is length throughout",
                    byDefault = "constant",
                    unit = "tokens")
            String lengths,

            @Describe(
                    value = "windows that are computed at once",
                    byDefault = "8",
                    unit = "windows",
                    min = 1,
                    max = 65536)
            int batch) {}

    /** Sequences that ask for something which stands far back in them; what is left are windows of text. */
    public record Mixture(
            @Describe(
                    value = "share of the sequences that state pass keys and ask for them later",
                    byDefault = "0",
                    min = 0,
                    max = 1)
            double passkey,

            @Describe(
                    value =
                            "share of the sequences that list numbered documents and ask which of them answers a question",
                    byDefault = "0",
                    min = 0,
                    max = 1)
            double documents,

            @Describe(
                    value =
                            "greatest number of keys in a sequence, for each of data.lengths, separated by commas; the last"
                                    + " one holds on",
                    byDefault = "1",
                    unit = "keys")
            String keys,

            @Describe(
                    value =
                            "share of the sequences with keys whose text is made harder: numbers, the keys' names, dialogue",
                    byDefault = "0",
                    min = 0,
                    max = 1)
            double distractors,

            @Describe(value = "paragraphs and questions in SQuAD's JSON layout, for documents", byDefault = "none")
            String questions,

            @Describe(
                    value = "factor of the mean loss over answers; the mean loss over all else has 1",
                    byDefault = "1",
                    min = 1e-6,
                    max = 1e6)
            double answerWeight) {

        /** Whether there is anything but text. */
        public boolean asks() {
            return passkey + documents > 0;
        }

        /**
         * {@code keys} as numbers.
         *
         * @throws UserError if they are none
         */
        public List<Integer> keysByPhase() {
            try {
                return Arrays.stream(keys.split(",", -1))
                        .map(text -> Integer.valueOf(text.strip()))
                        .toList();
            } catch (NumberFormatException e) {
                throw new UserError(
                        "mixture.keys: " + keys + ": must be whole numbers separated by commas, such as 1,3,6,8", e);
            }
        }
    }

    /** How gradients become weights: AdamW. */
    public record Optimiser(
            @Describe(value = "largest learning rate", byDefault = "1e-3", min = 0, max = 10, mayChange = true)
            double lr,

            @Describe(value = "decay of the mean of the gradients", byDefault = "0.9", min = 0, max = 1)
            double beta1,

            @Describe(value = "decay of the mean of their squares", byDefault = "0.95", min = 0, max = 1)
            double beta2,

            @Describe(value = "added to the root of the squares' mean", byDefault = "1e-8", min = 1e-30, max = 1)
            double eps,

            @Describe(
                    value = "decoupled weight decay, on matrices only (A_log, D, norms and biases have none)",
                    byDefault = "0.1",
                    min = 0,
                    max = 10)
            double weightDecay,

            @Describe(
                    value = "a gradient whose global norm is larger is scaled down to it; 0 never",
                    byDefault = "1.0",
                    min = 0,
                    mayChange = true)
            double clipNorm,

            @Describe(
                    value = "batches whose gradients make one step",
                    byDefault = "1",
                    unit = "batches",
                    min = 1,
                    max = 65536)
            int accumulate) {}

    /** How long, and the learning rate on the way. */
    public record Course(
            @Describe(
                    value = "learning rate after the warm-up: constant, cosine or linear down to min_lr",
                    byDefault = "cosine")
            Schedule.Shape shape,

            @Describe(
                    value = "steps of the whole run; chosen by minutes where that is not 0",
                    byDefault = "1000",
                    unit = "steps",
                    min = 1,
                    max = Integer.MAX_VALUE,
                    mayChange = true)
            int steps,

            @Describe(
                    value = "if not 0: measure this machine's speed first and choose steps to take about this long",
                    byDefault = "0",
                    unit = "minutes",
                    min = 0,
                    max = 1e6,
                    mayChange = true)
            double minutes,

            @Describe(
                    value = "steps in which the learning rate climbs to lr",
                    byDefault = "50",
                    unit = "steps",
                    min = 0,
                    max = Integer.MAX_VALUE)
            int warmupSteps,

            @Describe(value = "learning rate of the last step", byDefault = "1e-5", min = 0, max = 10, mayChange = true)
            double minLr) {}

    /** How the memory of a memmamba learns what to note: {@link MemoryCourse}. Other families have none. */
    public record Notes(
            @Describe(
                    value = "memmamba only: factor of the price of notes in the loss",
                    byDefault = "0.2",
                    min = 0,
                    max = 1e3)
            double price,

            @Describe(
                    value = "memmamba only: notes that a pool holds at first, before it shrinks to memory_pool_size",
                    byDefault = "512",
                    unit = "notes",
                    min = 1,
                    max = 1 << 20)
            int dense,

            @Describe(
                    value = "memmamba only: share of the steps in which every token is noted at no price, below 0.33",
                    byDefault = "0.065",
                    min = 0,
                    max = 0.32)
            double denseUntil,

            @Describe(
                    value =
                            "memmamba only: mean gate up to which notes are free once the pool shrinks, in pools per sequence",
                    byDefault = "0.7",
                    min = 1e-6,
                    max = 1e3)
            double share,

            @Describe(
                    value = "memmamba only: the same in the last part of the run; less makes it choosier",
                    byDefault = "0.7",
                    min = 1e-6,
                    max = 1e3)
            double finalShare,

            @Describe(
                    value =
                            "memmamba only: tokens that are noted at random between 0.49 and 0.83 of the steps, in pools per sequence",
                    byDefault = "0.1",
                    min = 0,
                    max = 1e3)
            double exploration) {}

    /** Measuring on the validation windows, which are the same every time. */
    public record Evaluation(
            @Describe(
                    value = "steps between two evaluations; every checkpoint is evaluated too",
                    byDefault = "250",
                    unit = "steps",
                    min = 1,
                    max = Integer.MAX_VALUE,
                    mayChange = true)
            int every,

            @Describe(
                    value = "validation windows, spread evenly over the validation documents; 0 never evaluates",
                    byDefault = "64",
                    unit = "windows",
                    min = 0,
                    max = 1 << 24,
                    mayChange = true)
            int windows) {}

    /** What is kept of the run. */
    public record Saving(
            @Describe(
                    value = "steps between two checkpoints; the last step always makes one",
                    byDefault = "500",
                    unit = "steps",
                    min = 1,
                    max = Integer.MAX_VALUE,
                    mayChange = true)
            int every,

            @Describe(
                    value = "newest checkpoints that are kept, beside the one with the lowest validation loss",
                    byDefault = "2",
                    unit = "checkpoints",
                    min = 1,
                    max = 1e6,
                    mayChange = true)
            int keep) {}

    /** What is written about the run. */
    public record Measuring(
            @Describe(
                    value = "steps between two lines of metrics.jsonl",
                    byDefault = "10",
                    unit = "steps",
                    min = 1,
                    max = Integer.MAX_VALUE,
                    mayChange = true)
            int every,

            @Describe(value = "whether to write TensorBoard event files", byDefault = "true", mayChange = true)
            boolean tensorboard,

            @Describe(value = "whether to draw loss.png after evaluations", byDefault = "true", mayChange = true)
            boolean plot) {}
}
