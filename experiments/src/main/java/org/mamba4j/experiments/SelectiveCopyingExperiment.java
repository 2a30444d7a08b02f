package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.tasks.SelectiveCopying;
import org.mamba4j.torch.train.Answers;
import org.mamba4j.torch.train.TaskTraining;

/**
 * Selective copying [1, table 1]: which combinations of a block and an inner layer learn to pick a few tokens out of noise.
 *
 * <p>Departures from the paper: fewer steps at a larger learning rate (the paper has 400,000 at 1e-4), which begin with short
 * sequences of fewer tokens; the accuracy is that of
 * tokens, as the paper does not say which, and that of whole sequences stands beside it.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.1.1 and appendix E.1.
 */
final class SelectiveCopyingExperiment implements Experiment {
    static final String NAME = "selective-copying";
    static final String TOKENS = "token accuracy";
    static final String SEQUENCES = "sequence accuracy";
    private static final int VOCABULARY = 16;
    private static final int WIDTH = 64;
    private static final int LAYERS = 2;

    /** Tokens of the shortest sequences. */
    private static final int MINIMUM = 16;

    private static final int MOST_ROWS = 64;

    /** Sequences have at least so many tokens for each that is to be copied, but for the shortest. */
    private static final int SPARSE = 12;

    /**
     * A part of the training.
     *
     * @param from share of the steps at which it begins
     * @param shorter its sequences are so many times shorter than the last ones
     */
    private record Stage(double from, int shorter) {}

    private static final List<Stage> STAGES = List.of(
            new Stage(0, 64),
            new Stage(0.05, 32),
            new Stage(0.15, 16),
            new Stage(0.3, 8),
            new Stage(0.45, 4),
            new Stage(0.6, 2),
            new Stage(0.8, 1));

    /** Sequences that measure are drawn from a seed that no training uses. */
    private static final long TEST_SEED = 0x7E57L << 32;

    /**
     * A model.
     *
     * @param block as the paper's table has it
     * @param inner as the paper's table has it
     * @param published accuracy in percent; empty for a model that the paper does not have
     */
    private record Row(String block, String inner, ModelRow model, String published) {}

    private static Row composed(String block, String inner, String published, String rest) {
        String name = block + " + " + inner;
        return new Row(block, inner, Composed.row(name, VOCABULARY, WIDTH, LAYERS, rest), published);
    }

    /** The most telling first, in case that time is short; the table has the paper's order. */
    private static List<Row> rows(int length) {
        String s4 = ",'kernel_length':" + length;
        return List.of(
                composed("no gate", "S4", "18.3", Composed.parts("plain", "s4") + s4),
                composed("no gate", "S6", "97.0", Composed.parts("plain", "s6")),
                composed("H3", "S4", "57.0", Composed.parts("h3", "s4") + s4),
                composed("H3", "Hyena", "30.1", Composed.parts("h3", "hyena")),
                composed("H3", "S6", "99.7", Composed.parts("h3", "s6")),
                composed("Mamba", "S4", "56.4", Composed.parts("mamba", "s4") + s4),
                composed("Mamba", "Hyena", "28.4", Composed.parts("mamba", "hyena")),
                new Row(
                        "Mamba",
                        "S6",
                        ModelRow.of(
                                "Mamba + S6",
                                "'model_type':'mamba','vocab_size':16,'hidden_size':64,'num_hidden_layers':2"),
                        "99.8"),
                new Row(
                        "MemMamba",
                        "S6",
                        ModelRow.of(
                                "MemMamba + S6",
                                "'model_type':'memmamba','vocab_size':16,'hidden_size':64,'num_hidden_layers':2,"
                                        + "'memory_summary_size':16"),
                        ""));
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String question() {
        return "Which blocks and inner layers learn to pick a few tokens out of noise and repeat them in order?";
    }

    private static int length(Setup setup) {
        return setup.by(24, 128, 4096);
    }

    private static int data(Setup setup) {
        return setup.by(2, 8, 16);
    }

    private static int batch(Setup setup) {
        return setup.by(16, 16, 16);
    }

    private static int steps(Setup setup) {
        return setup.stepsBy(80, 1_500, 12_000);
    }

    @Override
    public List<Part> parts(Setup setup) {
        List<Row> rows = rows(length(setup));
        List<Part> parts = new ArrayList<>();
        for (long seed : setup.seeds()) {
            // The paper's Mamba before all others.
            rows.reversed().forEach(row -> parts.add(part(row, seed, setup)));
        }
        return parts;
    }

    private static Part part(Row row, long seed, Setup setup) {
        int length = length(setup);
        int data = data(setup);
        int batch = batch(setup);
        int steps = steps(setup);
        List<String> settings = List.of(
                "threads=" + setup.by(1, 0, 0),
                "data.batch=" + batch,
                "data.length=" + length,
                "optimiser.lr=" + setup.by(1e-2, 3e-3, 3e-3),
                "optimiser.beta2=0.99",
                "optimiser.weight_decay=0",
                "schedule.shape=cosine",
                "schedule.min_lr=1e-5",
                "schedule.warmup_steps=" + Math.min(200, steps / 10),
                "schedule.steps=" + steps);
        int batches = setup.by(8, 16, 32);
        return new TrainedPart(
                row.model(),
                "",
                seed,
                settings,
                setup.device(),
                "selective copying of " + data + " tokens among " + length + ", " + batch + " a batch, stages " + STAGES
                        + "; asked " + batch * batches + " times",
                stages(setup, seed),
                (trained, run, figures) -> measure(
                        trained, figures, new SelectiveCopying(length, data, VOCABULARY, batch, TEST_SEED), batches));
    }

    /** Each stage has as many tokens a batch as the last, but for the first ones: {@value #MOST_ROWS} sequences are enough. */
    private static Staged stages(Setup setup, long seed) {
        List<Staged.Stage> all = new ArrayList<>();
        for (Stage stage : STAGES) {
            int length = Math.max(MINIMUM, length(setup) / stage.shorter());
            int data = Math.clamp(length / SPARSE, 2, data(setup));
            int rows = Math.min(MOST_ROWS, batch(setup) * length(setup) / length);
            all.add(new Staged.Stage(
                    (long) (stage.from() * steps(setup)), new SelectiveCopying(length, data, VOCABULARY, rows, seed)));
        }
        return new Staged(all);
    }

    private static void measure(TaskTraining trained, TrainedPart.Figures figures, SelectiveCopying task, int batches) {
        long start = System.nanoTime();
        Answers all = Answers.NONE;
        for (int i = 0; i < batches; i++) {
            all = all.and(trained.answers(task.batch(i)));
        }
        double seconds = (System.nanoTime() - start) * 1e-9;
        figures.add("", TOKENS, all.shareOfTokens(), seconds);
        figures.add("", SEQUENCES, all.shareOfAnswers(), 0);
    }

    @Override
    public Findings findings(Results results, Setup setup) {
        List<List<String>> cells = new ArrayList<>();
        for (Row row : rows(length(setup))) {
            String model = row.model().name();
            cells.add(List.of(
                    row.block(),
                    row.inner(),
                    ResultTable.percent(results.estimate(model, "", TOKENS)),
                    ResultTable.percent(results.estimate(model, "", SEQUENCES)),
                    row.published(),
                    ResultTable.count(results.parameters(model)),
                    results.seeds(model) == 0 ? "" : String.valueOf(results.seeds(model))));
        }
        ResultTable table = new ResultTable(
                "Selective copying: " + data(setup) + " tokens among " + length(setup),
                List.of("block", "inner layer", "tokens %", "sequences %", "published %", "parameters", "seeds"),
                cells,
                "Mean over seeds with its 95 % interval; " + ResultTable.count(steps(setup)) + " steps of "
                        + batch(setup)
                        + " sequences, at first shorter and more of them. A guess is right in 7.1 % of the tokens.");
        return new Findings(
                List.of(table),
                List.of(),
                List.of(
                        "Paper: 16 tokens among 4,096, 400,000 steps of 64 sequences, constant learning rate 1e-4; which"
                                + " accuracy is not stated. MemMamba is not in that table."));
    }
}
