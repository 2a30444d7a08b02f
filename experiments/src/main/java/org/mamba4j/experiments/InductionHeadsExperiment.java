package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.mamba4j.data.Batch;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.tasks.InductionHeads;
import org.mamba4j.torch.nn.BatchReading;
import org.mamba4j.torch.train.TaskTraining;

/**
 * Induction heads [1, table 11]: small models learn the task at 256 tokens and are then asked at up to a million. What has
 * learnt to ignore everything but the prefix does not notice the length.
 *
 * <p>Departures from the paper: a training begins with shorter sequences, in batches of as many tokens, which shortens the time
 * until the task is found; a Mamba's time steps are a thousand times smaller at first; sequences are read in chunks that meet in the model's state where it has one of constant
 * size; the other models read whole sequences, up to the length that their quadratic time allows.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.1.2.
 */
final class InductionHeadsExperiment implements Experiment {
    static final String NAME = "induction-heads";
    static final String ACCURACY = "accuracy";
    private static final int FIRST_POWER = 6;
    private static final int SHORTEST = 8;

    /** From the shortest sequences to those of the paper. */
    private static final int DOUBLINGS = 3;

    /** A stage has the steps divided by this. */
    private static final int STEPS_PER_STAGE = 20;

    private static final int LONG_COURSE = 100_000;
    private static final int SHORT_COURSE = 20_000;

    /** As in the paper, whose better one of two this is or is close to. */
    private static final double RATE_OF_OTHERS = 1e-3;

    /** Sequences of all lengths are drawn from seeds that no training uses. */
    private static final long TEST_SEED = 0x7E57L << 32;

    /**
     * Time steps of a Mamba at first, a thousand times smaller than usual: it must learn to open for what matters, and not
     * to close for all else, of which 256 tokens teach little.
     */
    private static final String SMALL_STEPS = ",'time_step_min':1e-6,'time_step_max':1e-4,'time_step_floor':1e-7";

    /** Attention and nothing else, with biases: 137 K parameters, as in the paper. */
    static final String ATTENTION =
            "'model_type':'llama','vocab_size':16,'hidden_size':128,'num_hidden_layers':2,'num_attention_heads':8,"
                    + "'intermediate_size':0,'attention_bias':true,'initializer_range':0.02,'position_embedding':'%s'";

    /**
     * A model.
     *
     * @param longestPower it is asked up to 2^this
     * @param published what the paper found at 2^6 … 2^20, in percent; empty for a model that it does not have
     */
    private record Row(ModelRow model, int longestPower, String published) {
        /** Mamba or MemMamba, whose steps take a fraction of a millisecond on a GPU: recorded, not launched one by one. */
        boolean isSelective() {
            return model.name().endsWith("Mamba");
        }

        /** A cell of the paper's table; empty where there is none. */
        String published(int index) {
            String[] cells = published.split(" ");
            return index < cells.length ? cells[index] : "";
        }
    }

    private static final List<Row> ROWS = List.of(
            new Row(
                    ModelRow.of(
                            "Mamba",
                            "'model_type':'mamba','vocab_size':16,'hidden_size':64,'num_hidden_layers':2,"
                                    + "'tie_word_embeddings':false" + SMALL_STEPS),
                    20,
                    "100 100 100 100 100 100 100 100 100 100 100 100 100 100 100"),
            new Row(
                    ModelRow.of(
                            "MemMamba",
                            "'model_type':'memmamba','vocab_size':16,'hidden_size':64,'num_hidden_layers':2,"
                                    + "'tie_word_embeddings':false,'memory_summary_size':16" + SMALL_STEPS),
                    20,
                    ""),
            new Row(
                    ModelRow.of("MHA-Abs", String.format(Locale.ROOT, ATTENTION, "sinusoidal")),
                    14,
                    "100 99.6 100 58.6 26.6 18.8 9.8 10.9 7.8 OOM OOM OOM OOM OOM OOM"),
            new Row(
                    ModelRow.of("MHA-RoPE", String.format(Locale.ROOT, ATTENTION, "rope")),
                    14,
                    "100 100 100 83.6 31.3 18.4 8.6 9.0 5.5 OOM OOM OOM OOM OOM OOM"),
            new Row(
                    ModelRow.of("MHA-xPos", String.format(Locale.ROOT, ATTENTION, "xpos")),
                    14,
                    "100 100 100 99.6 67.6 25.4 7.0 9.0 7.8 OOM OOM OOM OOM OOM OOM"),
            new Row(
                    Composed.row("H3", 16, 128, 2, Composed.parts("h3", "s4d")),
                    20,
                    "100 100 100 80.9 39.5 23.8 14.8 8.2 5.9 6.6 8.2 4.7 8.2 6.3 7.4"),
            new Row(
                    Composed.row("Hyena", 16, 128, 2, Composed.parts("h3", "hyena")),
                    18,
                    "97.7 100 100 100 44.1 12.5 6.6 5.1 7.0 5.9 6.6 6.6 5.9 6.3 9.8"));

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String question() {
        return "Which small models, trained to find what followed a prefix 256 tokens ago, find it a million tokens ago?";
    }

    @Override
    public List<Part> parts(Setup setup) {
        List<Part> parts = new ArrayList<>();
        for (long seed : setup.seeds()) {
            for (Row row : ROWS) {
                parts.add(part(row, seed, setup));
            }
        }
        return parts;
    }

    private static int trainLength(Setup setup) {
        return setup.by(16, 64, 256);
    }

    private static Part part(Row row, long seed, Setup setup) {
        int length = trainLength(setup);
        int rows = setup.by(16, 16, 16);
        boolean selective = row.isSelective();
        int steps = setup.stepsBy(120, 12_000, selective ? LONG_COURSE : SHORT_COURSE);
        List<String> settings = List.of(
                "threads=" + setup.by(1, 0, 0),
                "data.batch=" + rows,
                "data.length=" + length,
                "optimiser.lr=" + setup.by(1e-2, 5e-3, selective ? 5e-3 : RATE_OF_OTHERS),
                // With a long memory of squares, one wrong answer after thousands of right ones moves every weight by
                // three
                // rates at once, which a rate this high does not survive.
                "optimiser.beta2=" + (selective ? 0.98 : 0.999),
                "optimiser.weight_decay=0",
                // A loss that is as good as zero still has gradients, and what they teach is to forget ever less: a
                // rate that
                // falls ends that early.
                "schedule.shape=" + (selective ? "constant" : "linear"),
                "schedule.min_lr=0",
                "schedule.warmup_steps=" + Math.min(100, steps / 10),
                "schedule.steps=" + steps);
        int longest = Math.min(row.longestPower(), setup.by(7, 14, 20));
        int sequences = setup.by(32, 64, 64);
        return new TrainedPart(
                row.model(),
                "",
                seed,
                settings,
                setup.device(),
                "induction heads of " + length + " tokens, " + rows + " a batch, before that shorter ones; asked "
                        + sequences + " times at each length to 2^" + longest,
                stages(length, rows, steps, seed),
                (trained, run, figures) -> measure(trained, run, figures, sequences, longest));
    }

    /** Sequences of an eighth of the length first, twice as long every twentieth of the steps: equal tokens a batch. */
    private static Staged stages(int length, int rows, int steps, long seed) {
        List<Staged.Stage> all = new ArrayList<>();
        for (int i = 0; i <= DOUBLINGS; i++) {
            int shorter = 1 << (DOUBLINGS - i);
            all.add(new Staged.Stage(
                    (long) i * steps / STEPS_PER_STAGE,
                    new InductionHeads(Math.max(SHORTEST, length / shorter), rows * shorter, seed)));
        }
        return new Staged(all);
    }

    private static void measure(
            TaskTraining trained, PartRun run, TrainedPart.Figures figures, int sequences, int longestPower) {
        BatchReading reading = new BatchReading(trained.network());
        for (int power = longestPower; power >= FIRST_POWER; power--) {
            if (figures.has(setting(power), ACCURACY)) {
                continue;
            }
            run.pauseIfTimeIsUp();
            run.progress(1, "asking at 2^" + power);
            long start = System.nanoTime();
            int right = ask(reading, 1 << power, sequences);
            figures.add(setting(power), ACCURACY, (double) right / sequences, (System.nanoTime() - start) * 1e-9);
        }
    }

    /** @return how many of {@code sequences} are answered rightly */
    private static int ask(BatchReading reading, int length, int sequences) {
        int right = 0;
        int together = Math.clamp((1 << 24) / length, 1, sequences);
        for (int done = 0; done < sequences; done += together) {
            int rows = Math.min(together, sequences - done);
            Batch batch = new InductionHeads(length, rows, TEST_SEED + length).batch(done);
            int[] answers = reading.likeliestAfter(rows, batch.inputs());
            for (int i = 0; i < rows; i++) {
                right += answers[i] == batch.targets()[(i + 1) * length - 1] ? 1 : 0;
            }
        }
        return right;
    }

    private static String setting(int power) {
        return "2^" + power;
    }

    @Override
    public Findings findings(Results results, Setup setup) {
        int longest = setup.by(7, 14, 20);
        List<Integer> powers =
                IntStream.rangeClosed(FIRST_POWER, longest).boxed().toList();
        List<String> columns = new ArrayList<>(List.of("model", "parameters", "seeds"));
        powers.forEach(power -> columns.add(setting(power)));
        List<List<String>> rows = new ArrayList<>();
        for (Row row : ROWS) {
            String model = row.model().name();
            List<String> ours = new ArrayList<>(
                    List.of(model, ResultTable.count(results.parameters(model)), String.valueOf(results.seeds(model))));
            List<String> theirs = new ArrayList<>(List.of("  published", "", ""));
            for (int i = 0; i < powers.size(); i++) {
                ours.add(worst(results, model, powers.get(i)));
                theirs.add(row.published(i));
            }
            rows.add(ours);
            if (!row.published().isEmpty()) {
                rows.add(theirs);
            }
        }
        ResultTable table = new ResultTable(
                "Induction heads: accuracy in percent by length, trained at " + trainLength(setup),
                columns,
                rows,
                "Mean over seeds, and in brackets the worst seed where seeds differ; a guess is right in 7.1 %. Empty:"
                        + " not measured. OOM: out of memory in the paper.");
        LineChart chart = new LineChart(
                NAME,
                "Induction heads, trained at " + trainLength(setup) + " tokens",
                new LineChart.Axis("tokens, as a power of 2", false),
                new LineChart.Axis("accuracy (%)", false),
                results.models().stream()
                        .map(model -> series(results, model, powers))
                        .toList());
        return new Findings(
                List.of(table),
                List.of(chart),
                List.of("Paper: batches of 8, no weight decay, constant learning rate (better of 2e-4 and 1e-3, 1e-3"
                        + " for Mamba); 204,800 steps for MHA-Abs and Mamba, 409,600 for RoPE and xPos, 81,920 for H3"
                        + " and Hyena. Here: "
                        + ResultTable.count(setup.stepsBy(120, 12_000, LONG_COURSE))
                        + " steps with a constant rate for Mamba and MemMamba, "
                        + ResultTable.count(setup.stepsBy(120, 12_000, SHORT_COURSE))
                        + " with a falling rate for the others, learning rate "
                        + setup.by(1e-2, 5e-3, 5e-3) + " and " + setup.by(1e-2, 5e-3, RATE_OF_OTHERS)
                        + ", the first 15 % of them on shorter sequences."));
    }

    /** The mean, and the worst seed if that is another. */
    private static String worst(Results results, String model, int power) {
        double[] values = results.values(model, setting(power), ACCURACY);
        if (values.length == 0) {
            return "";
        }
        double mean = 100 * Estimate.ofMean(values).value();
        double least = 100 * Arrays.stream(values).min().orElseThrow();
        return ResultTable.number(mean, 1) + (least < mean - 1e-9 ? " (" + ResultTable.number(least, 1) + ")" : "");
    }

    private static LineChart.Series series(Results results, String model, List<Integer> powers) {
        return LineChart.Series.of(
                model,
                powers.stream()
                        .filter(power -> results.values(model, setting(power), ACCURACY).length > 0)
                        .map(power -> {
                            double[] values = results.values(model, setting(power), ACCURACY);
                            double mean = Estimate.ofMean(values).value();
                            double least = Arrays.stream(values).min().orElseThrow();
                            double most = Arrays.stream(values).max().orElseThrow();
                            return new LineChart.Point(power, 100 * mean, 100 * least, 100 * most);
                        })
                        .toList());
    }
}
