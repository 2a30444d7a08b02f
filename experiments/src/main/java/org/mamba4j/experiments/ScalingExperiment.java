package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.mamba4j.data.Batch;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.tasks.Filler;
import org.mamba4j.torch.train.TaskTraining;

/**
 * Loss against the operations of training [1, section 4.2.1]: several sizes of each family learn from the same number of
 * bytes of books, at two lengths of context, and are asked about books that nobody learnt from. A power law is fitted to
 * each family, operations counted ({@link Flops}).
 *
 * <p>Departures from the paper: bytes of English books instead of tokens of the Pile, models of a hundredth of the size,
 * the same bytes for every size instead of 20 tokens for each parameter: at one budget of data, so that the law says what
 * operations buy when data does not grow with them.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752.
 */
final class ScalingExperiment implements Experiment {
    static final String NAME = "scaling";
    static final String BITS = "bits per byte";
    static final String OPERATIONS = "training operations";
    private static final long TEST_SEED = 0xB00C5;
    private static final double RATE = 3e-3;
    private static final int RATE_WIDTH = 128;
    private static final int SLOW_LENGTH = 512;
    private static final int FAST_SIZES = 1;

    /** Makes a model of some width, as deep as so many layers of attention. */
    private interface Family {
        String fields(int width, int layers);
    }

    private record Named(String name, Family family) {
        ModelRow row(int width, int layers) {
            return ModelRow.of(
                    name + " " + width,
                    family.fields(width, layers) + ",'vocab_size':" + Books.VOCABULARY + ",'hidden_size':" + width);
        }
    }

    private static final List<Named> FAMILIES = List.of(
            new Named("Mamba", (width, layers) -> "'model_type':'mamba','num_hidden_layers':" + 2 * layers),
            new Named("Transformer++", ScalingExperiment::transformer),
            new Named("MemMamba", (width, layers) -> "'model_type':'memmamba','num_hidden_layers':" + 2 * layers),
            // Two matrices of 4 d² in a layer and nothing else: 8 d², of which 12 d² make a block of attention.
            new Named(
                    "LSTM",
                    (width, layers) -> "'model_type':'rnn','cell':'lstm','residual':true,'tie_word_embeddings':true,"
                            + "'num_hidden_layers':" + Math.max(1, 3 * layers / 2)),
            new Named(
                    "H3",
                    (width, layers) -> "'model_type':'composed','block':'h3','inner_layer':'s4d','mlp':'gated',"
                            + "'num_hidden_layers':" + layers));

    private static String transformer(int width, int layers) {
        return "'model_type':'llama','tie_word_embeddings':true,'num_hidden_layers':" + layers
                + ",'num_attention_heads':" + Math.max(1, width / 32) + ",'intermediate_size':"
                + Math.ceilDiv(8 * width, 3 * 16) * 16;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String question() {
        return "How does the loss on unseen books fall with the operations of training, family by family?";
    }

    private static List<Integer> widths(Setup setup) {
        return setup.by(List.of(16, 32), List.of(32, 48, 64, 96), List.of(128, 192, 256, 384));
    }

    /** As many layers of attention as a model of a width has. */
    private static int layers(Setup setup, int index) {
        return setup.by(List.of(1, 1), List.of(1, 2, 2, 3), List.of(4, 5, 6, 8)).get(index);
    }

    private static List<Integer> lengths(Setup setup) {
        return setup.by(List.of(64), List.of(128, 512), List.of(512, 4096));
    }

    private static int bytesPerStep(Setup setup) {
        return setup.by(256, 4096, 1 << 16);
    }

    private static int steps(Setup setup) {
        return setup.stepsBy(24, 300, 2000);
    }

    @Override
    public List<String> dataSets() {
        return List.of("books");
    }

    @Override
    public List<Part> parts(Setup setup) {
        Filler train = Books.read(setup, "train", setup.by(60_000, 8_000_000, 80_000_000));
        Filler test = Books.read(setup, "test", setup.by(20_000, 1_000_000, 8_000_000));
        List<Part> parts = new ArrayList<>();
        for (long seed : setup.seeds()) {
            for (int length : lengths(setup)) {
                for (Named family : FAMILIES) {
                    for (int size = 0; size < widths(setup).size(); size++) {
                        if (!isTooSlow(family, size, length, setup)) {
                            parts.add(part(family, size, length, seed, setup, train, test));
                        }
                    }
                }
            }
        }
        return parts;
    }

    /**
     * An LSTM waits for every byte in every layer, forward and backward, about 40 µs each on a GPU: in long sequences the
     * larger ones would train for more than an hour.
     */
    private static boolean isTooSlow(Named family, int size, int length, Setup setup) {
        return setup.scale() == Scale.FULL
                && family.name().equals("LSTM")
                && length > SLOW_LENGTH
                && size >= FAST_SIZES;
    }

    private static Part part(Named family, int size, int length, long seed, Setup setup, Filler train, Filler test) {
        int width = widths(setup).get(size);
        ModelRow row = family.row(width, layers(setup, size));
        int rows = bytesPerStep(setup) / length;
        int steps = steps(setup);
        double rate = RATE * Math.sqrt((double) RATE_WIDTH / width);
        List<String> settings = List.of(
                "threads=" + setup.by(1, 0, 0),
                "data.batch=" + rows,
                "data.length=" + length,
                String.format(Locale.ROOT, "optimiser.lr=%.2e", rate),
                "schedule.shape=cosine",
                String.format(Locale.ROOT, "schedule.min_lr=%.2e", rate / 20),
                "schedule.warmup_steps=" + steps / 20,
                "schedule.steps=" + steps,
                "precision=" + (setup.device().equals("cpu") ? "float32" : "bfloat16"));
        return new TrainedPart(
                row,
                setting(length),
                seed,
                settings,
                setup.device(),
                "books of " + train.size() + " bytes, " + rows + " × " + length + " a step; asked about " + test.size(),
                Books.source(train, length, rows, seed),
                (trained, run, figures) ->
                        measure(trained, run, figures, new Asked(test, length, rows, setup.by(2, 8, 8))));
    }

    /** Batches of unseen text, the same for every model. */
    private record Asked(Filler text, int length, int rows, int batches) {
        Batch batch(int i) {
            return Books.test(text, length, rows, TEST_SEED + i);
        }
    }

    private static void measure(TaskTraining trained, PartRun run, TrainedPart.Figures figures, Asked asked) {
        double loss = 0;
        long start = System.nanoTime();
        for (int i = 0; i < asked.batches(); i++) {
            run.pauseIfTimeIsUp();
            loss += trained.loss(asked.batch(i)) / asked.batches();
        }
        double seconds = (System.nanoTime() - start) * 1e-9;
        int length = asked.length();
        double tokens = (double) trained.steps() * asked.rows() * length;
        figures.add(setting(length), BITS, loss / Math.log(2), seconds);
        figures.add(
                setting(length),
                OPERATIONS,
                tokens * Flops.trainingPerToken(trained.network().config(), length),
                seconds);
    }

    private static String setting(int length) {
        return "length " + length;
    }

    @Override
    public Findings findings(Results results, Setup setup) {
        List<List<String>> rows = new ArrayList<>();
        List<List<String>> laws = new ArrayList<>();
        List<LineChart> charts = new ArrayList<>();
        for (int length : lengths(setup)) {
            List<LineChart.Series> series = new ArrayList<>();
            for (Named family : FAMILIES) {
                List<LineChart.Point> points = new ArrayList<>();
                for (int size = 0; size < widths(setup).size(); size++) {
                    String model = family.row(widths(setup).get(size), 1).name();
                    Optional<Estimate> bits = results.estimate(model, setting(length), BITS);
                    Optional<Estimate> operations = results.estimate(model, setting(length), OPERATIONS);
                    if (bits.isPresent() && operations.isPresent()) {
                        double x = operations.get().value();
                        Estimate y = bits.get();
                        points.add(new LineChart.Point(x, y.value(), y.low(), y.high()));
                        rows.add(List.of(
                                model,
                                ResultTable.count(results.parameters(model)),
                                String.valueOf(length),
                                String.format(Locale.ROOT, "%.2e", x),
                                ResultTable.cell(bits, 4)));
                    }
                }
                series.add(LineChart.Series.of(family.name(), points));
                PowerLaw.fit(points).ifPresent(law -> {
                    laws.add(List.of(
                            family.name(),
                            String.valueOf(length),
                            ResultTable.cell(Optional.of(law.exponent()), 4),
                            ResultTable.number(law.at(1e15), 3)));
                    series.add(new LineChart.Series(
                            family.name() + ", law",
                            points.stream()
                                    .map(p -> LineChart.Point.of(p.x(), law.at(p.x())))
                                    .toList(),
                            true));
                });
            }
            charts.add(new LineChart(
                    NAME + "-" + length,
                    "Books at " + length + " bytes of context",
                    new LineChart.Axis("operations of training", true),
                    new LineChart.Axis("bits per byte of unseen books", true),
                    series));
        }
        String equal = String.format(
                Locale.ROOT,
                "%,d steps of %,d bytes for every model; operations counted.",
                steps(setup),
                bytesPerStep(setup));
        List<ResultTable> tables = new ArrayList<>(List.of(
                new ResultTable(
                        "Every model",
                        List.of("model and width", "parameters", "context", "operations", BITS),
                        rows,
                        equal),
                new ResultTable(
                        "Fitted laws: bits = factor · operations^exponent",
                        List.of("family", "context", "exponent", "bits at 10^15 operations"),
                        laws,
                        "Least squares on logarithms, Student's 95 % interval of the slope. Extrapolated where a family's"
                                + " own models lie elsewhere.")));
        tables.removeIf(table -> table.rows().isEmpty());
        return new Findings(
                tables,
                charts,
                List.of(
                        "The paper's figure 4 shows curves without numbers; what it claims is that Mamba is the first to match"
                                + " Transformer++ as the sequence grows.",
                        "The larger LSTMs are left out at the longer context of the full scale: they would train for hours."));
    }
}
