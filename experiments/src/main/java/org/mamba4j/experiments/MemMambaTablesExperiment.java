package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import java.util.function.UnaryOperator;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.model.DeciMambaConfig;
import org.mamba4j.model.DecimationConfig;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.tasks.DocumentRetrieval;
import org.mamba4j.tasks.DocumentSequences;
import org.mamba4j.tasks.Filler;
import org.mamba4j.tasks.Passkey;
import org.mamba4j.tasks.PasskeySequences;
import org.mamba4j.tasks.Perplexity;
import org.mamba4j.tasks.RetrievalResult;
import org.mamba4j.tasks.Squad;
import org.mamba4j.tasks.Subject;
import org.mamba4j.tasks.TrainingMixture;
import org.mamba4j.tasks.Window;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.TorchLanguageModel;
import org.mamba4j.torch.train.TaskTraining;

/**
 * The three tables of the MemMamba paper [1]: perplexity of books by length of context, a pass key hidden in a text, one of
 * many documents that answers a question. Every model has about as many parameters and learns from the same bytes: books,
 * books that state keys and ask for them, documents with questions. All are then asked far beyond the lengths they learnt.
 *
 * <p>Departures from the paper: bytes instead of tokens, 4 M parameters instead of 130 M, books of Project Gutenberg that
 * are not PG-19's, a few thousand steps on sequences that become longer. DeciMamba [2] has the layers of Mamba and learns
 * like it; what it does otherwise it does when it reads a text that is longer than those it learnt from: so it is the
 * trained Mamba, read in another way, as the MemMamba without notes is the trained MemMamba. Texts of one task and length are
 * the same for all models and seeds.
 *
 * <p>References: [1] MemMamba, arXiv 2510.03279. [2] DeciMamba, arXiv 2406.14528.
 */
final class MemMambaTablesExperiment implements Experiment {
    static final String NAME = "memmamba-tables";
    static final String PERPLEXITY = "perplexity";
    static final String KEYS = "keys found";
    static final String DOCUMENTS = "documents found";
    private static final double KEY_SHARE = 0.7;
    private static final double DOCUMENT_SHARE = 0.2;
    private static final int SCORED = 100;
    private static final int LONG = 100_000;
    private static final List<Double> DEPTHS = List.of(0.0, 0.25, 0.5, 0.75, 1.0);
    private static final long TEST_SEED = 0x7AB1E5;
    private static final Tokenizer BYTES = Tokenizers.bytes();

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String question() {
        return "Who reads on, remembers a key and finds a document far beyond the lengths that were learnt?";
    }

    /** Models of about equal size: attention's blocks are three times as large as a Mamba's of their width. */
    private static List<ModelRow> models(Setup setup) {
        int d = setup.by(32, 64, 256);
        int blocks = setup.by(3, 4, 9);
        int attention = setup.by(1, 2, 5);
        String sizes = "'vocab_size':" + Books.VOCABULARY + ",'hidden_size':" + d + ",'num_hidden_layers':";
        String heads = ",'num_attention_heads':" + Math.max(1, d / 32);
        return List.of(
                ModelRow.of("MemMamba", "'model_type':'memmamba'," + sizes + (blocks - 1)),
                ModelRow.of("Mamba", "'model_type':'mamba'," + sizes + blocks),
                ModelRow.of(
                        "Transformer++",
                        "'model_type':'llama','tie_word_embeddings':true," + sizes + attention + heads
                                + ",'intermediate_size':" + Math.ceilDiv(8 * d, 3 * 16) * 16),
                ModelRow.of(
                        "GPT-NeoX",
                        "'model_type':'gpt_neox'," + sizes + attention + heads + ",'intermediate_size':" + 4 * d));
    }

    /**
     * A row of the tables.
     *
     * @param name there
     * @param model that was trained
     * @param way that it reads in, the beginning of its settings; empty: as it learnt
     * @param config of the model that reads with the trained one's weights
     */
    private record Reader(String name, ModelRow model, String way, UnaryOperator<ModelConfig> config) {
        String setting(String unit, int size) {
            return way + unit + " " + size;
        }
    }

    private static List<Reader> readers(Setup setup) {
        List<Reader> all = new ArrayList<>();
        for (ModelRow model : models(setup)) {
            all.add(new Reader(model.name(), model, "", UnaryOperator.identity()));
            switch (model.config()) {
                case MemMambaConfig memory ->
                    all.add(new Reader("MemMamba, notes off", model, "notes off, ", trained -> memory.mamba()));
                case MambaConfig mamba ->
                    all.add(new Reader("DeciMamba", model, "decimated, ", trained -> decimating(mamba, setup)));
                default -> {}
            }
        }
        return all;
    }

    /** Half of the layers see all, the next one keeps as many tokens of a longer text as the model learnt from. */
    private static DeciMambaConfig decimating(MambaConfig mamba, Setup setup) {
        DecimationConfig defaults = DecimationConfig.DEFAULTS;
        return new DeciMambaConfig(
                mamba,
                new DecimationConfig(
                        mamba.nLayer() / 2, 1, trainedLength(setup), defaults.beta(), defaults.minLength()));
    }

    private static int trainedLength(Setup setup) {
        return setup.by(256, 512, 8192);
    }

    private static int bytesOfAStep(Setup setup) {
        return setup.by(512, 4096, 1 << 16);
    }

    private static int steps(Setup setup) {
        return setup.stepsBy(24, 300, 1600);
    }

    /** At full scale the lengths of the recipe memmamba-passkey-long: short sequences first. */
    private static LengthCourse course(Setup setup) {
        if (setup.scale() != Scale.FULL) {
            return LengthCourse.constant(trainedLength(setup), bytesOfAStep(setup) / trainedLength(setup));
        }
        int steps = steps(setup);
        return new LengthCourse(List.of(
                phase(setup, 0, 512),
                phase(setup, 0.065 * steps, 1024),
                phase(setup, 0.38 * steps, 2048),
                phase(setup, 0.55 * steps, trainedLength(setup))));
    }

    private static LengthCourse.Phase phase(Setup setup, double firstStep, int length) {
        return new LengthCourse.Phase(Math.round(firstStep), length, bytesOfAStep(setup) / length);
    }

    private static List<Integer> textLengths(Setup setup) {
        return setup.by(List.of(128, 256), List.of(512, 1000, 4000), List.of(1000, 4000, 16_000, 60_000, 200_000));
    }

    private static List<Integer> keyLengths(Setup setup) {
        return setup.by(List.of(256), List.of(512, 1000, 4000), List.of(1000, 4000, 16_000, 64_000, 400_000));
    }

    private static List<Integer> documentCounts(Setup setup) {
        return setup.by(List.of(2), List.of(2, 5), List.of(2, 5, 10, 20, 40, 80));
    }

    private static int trials(Setup setup) {
        return setup.by(1, 4, 10);
    }

    /** Texts of a length and depth: attention takes minutes to read some hundred thousand bytes so often. */
    private static int trials(Setup setup, int length) {
        return length < LONG ? trials(setup) : Math.ceilDiv(trials(setup), 3);
    }

    private static int windows(Setup setup) {
        return setup.by(2, 6, 60);
    }

    /** What models learn from and are asked about. */
    private record Texts(Filler train, Filler test, Squad squad) {}

    @Override
    public List<String> dataSets() {
        return List.of("books", "qa");
    }

    @Override
    public List<Part> parts(Setup setup) {
        Texts texts = new Texts(
                Books.read(setup, "train", setup.by(60_000, 8_000_000, 80_000_000)),
                Books.read(setup, "test", setup.by(20_000, 1_000_000, 8_000_000)),
                Squad.read(setup.data().resolve("qa").resolve("xquad.en.json")));
        List<Part> parts = new ArrayList<>();
        for (long seed : setup.seeds()) {
            for (ModelRow row : models(setup)) {
                parts.add(part(row, seed, setup, texts));
            }
        }
        return parts;
    }

    private static Part part(ModelRow row, long seed, Setup setup, Texts texts) {
        int steps = steps(setup);
        int length = trainedLength(setup);
        double rate = setup.by(1e-2, 1.5e-3, 1.5e-3);
        List<String> settings = List.of(
                "threads=" + setup.by(1, 0, 0),
                "data.batch=" + bytesOfAStep(setup) / length,
                "data.length=" + length,
                "notes.price=0.3",
                "optimiser.lr=" + rate,
                "schedule.shape=linear",
                "schedule.min_lr=" + rate / 20,
                "schedule.warmup_steps=" + steps / 30,
                "schedule.steps=" + steps,
                "precision=" + (setup.device().equals("cpu") ? "float32" : "bfloat16"));
        return new TrainedPart(
                row,
                "",
                seed,
                settings,
                setup.device(),
                "books of " + texts.train().size() + " bytes, " + share(KEY_SHARE) + " with keys, "
                        + share(DOCUMENT_SHARE)
                        + " with documents, lengths " + course(setup).phases() + "; asked at "
                        + textLengths(setup) + ", " + keyLengths(setup) + ", " + documentCounts(setup) + ", "
                        + trials(setup) + " trials, " + windows(setup) + " windows",
                source(setup, texts, seed),
                (trained, run, figures) -> readers(setup).stream()
                        .filter(reader -> reader.model().equals(row))
                        .forEach(reader -> measure(reader, setup, texts, trained, run, figures)));
    }

    private static BatchSource source(Setup setup, Texts texts, long seed) {
        TrainingMixture mixture = new TrainingMixture(
                        new TrainingMixture.Settings(texts.train(), course(setup), Books.VOCABULARY, 1, 1, seed))
                .add(
                        KEY_SHARE,
                        new PasskeySequences(
                                texts.train(), BYTES, setup.by(List.of(1), List.of(2), List.of(2, 4, 8, 8)), 0.3));
        // Shorter sequences hold no two paragraphs.
        return setup.scale() == Scale.FULL
                ? mixture.add(
                        DOCUMENT_SHARE,
                        new DocumentSequences(
                                texts.train(), BYTES, texts.squad().forTraining()))
                : mixture;
    }

    private static String share(double share) {
        return Math.round(100 * share) + " %";
    }

    private static void measure(
            Reader reader, Setup setup, Texts texts, TaskTraining trained, PartRun run, TrainedPart.Figures figures) {
        try (LanguageNetwork network = LanguageNetwork.copy(
                trained.network(), reader.config().apply(trained.network().config()))) {
            measure(reader, network, setup, texts, run, figures);
        }
    }

    private static void measure(
            Reader reader,
            LanguageNetwork network,
            Setup setup,
            Texts texts,
            PartRun run,
            TrainedPart.Figures figures) {
        // Not closed: that would close the network.
        Subject subject = new Subject(new TorchLanguageModel(network), BYTES, 1);
        List<Window> windows = testWindows(setup, texts.test());
        for (int length : textLengths(setup)) {
            run.progress(1, "perplexity at " + length);
            add(
                    figures,
                    reader.setting("context", length),
                    PERPLEXITY,
                    () -> new Perplexity(subject)
                            .measure(List.of(length), SCORED, windows, done -> run.pauseIfTimeIsUp())
                            .lengths()
                            .getFirst()
                            .perplexity()
                            .value());
        }
        for (int length : keyLengths(setup)) {
            run.progress(1, "keys at " + length);
            add(
                    figures,
                    reader.setting("tokens", length),
                    KEYS,
                    () -> right(new Passkey(subject)
                            .measure(
                                    new Passkey.Grid(List.of(length), DEPTHS, trials(setup, length), 1, TEST_SEED),
                                    texts.test(),
                                    done -> run.pauseIfTimeIsUp())));
        }
        DocumentRetrieval retrieval =
                new DocumentRetrieval(subject, texts.squad().forTests(), texts.test());
        for (int count : documentCounts(setup)) {
            run.progress(1, count + " documents");
            add(
                    figures,
                    reader.setting("documents", count),
                    DOCUMENTS,
                    () -> right(retrieval.measure(
                            new DocumentRetrieval.Grid(List.of(count), DEPTHS, trials(setup), TEST_SEED),
                            done -> run.pauseIfTimeIsUp())));
        }
    }

    /** Ends of the same places whatever the length, so that lengths and models compare. */
    private static List<Window> testWindows(Setup setup, Filler text) {
        int length = textLengths(setup).getLast();
        SplittableRandom random = new SplittableRandom(TEST_SEED);
        List<Window> windows = new ArrayList<>();
        for (int i = 0; i < windows(setup); i++) {
            windows.add(new Window("test books", i, text.draw(length, random)));
        }
        return windows;
    }

    /** What is measured, and how long that took; NaN, an empty cell, where the memory is too small for a length. */
    private static void add(TrainedPart.Figures figures, String setting, String metric, DoubleSupplier measurement) {
        if (figures.has(setting, metric)) {
            return;
        }
        long start = System.nanoTime();
        double[] measured = {Double.NaN};
        MeasuredPart.fits(() -> {
            measured[0] = measurement.getAsDouble();
            return true;
        });
        figures.add(setting, metric, measured[0], (System.nanoTime() - start) * 1e-9);
    }

    /** The share of right answers. */
    private static double right(RetrievalResult result) {
        return result.cells().stream()
                .mapToDouble(RetrievalResult.Cell::accuracy)
                .average()
                .orElse(Double.NaN);
    }

    @Override
    public Findings findings(Results results, Setup setup) {
        String trained = String.format(
                Locale.ROOT,
                "Every model learnt from %,d steps of %,d bytes in sequences of at most %,d. Mean over seeds, with Student's 95 %%"
                        + " interval where there are several.",
                steps(setup),
                bytesOfAStep(setup),
                trainedLength(setup));
        List<ResultTable> tables = List.of(
                table(
                        "Perplexity of a byte, by bytes of context",
                        results,
                        setup,
                        new Columns("context", textLengths(setup), PERPLEXITY),
                        trained + " The last " + SCORED + " bytes of " + windows(setup) + " windows are scored."),
                table(
                        "Pass key: found in percent, by bytes before the answer",
                        results,
                        setup,
                        new Columns("tokens", keyLengths(setup), KEYS),
                        trained + " " + 5 * trials(setup) + " texts a length, five depths; " + 5 * trials(setup, LONG)
                                + " from 100,000 on."),
                table(
                        "Document retrieval: found in percent, by documents to choose from",
                        results,
                        setup,
                        new Columns("documents", documentCounts(setup), DOCUMENTS),
                        trained + " Whole numbers right; a guess is right in 1 of as many."));
        return new Findings(
                tables,
                List.of(chart(
                        "perplexity",
                        "Perplexity of books",
                        results,
                        setup,
                        new Columns("context", textLengths(setup), PERPLEXITY))),
                List.of(
                        "The MemMamba paper's figures stand in its tables on tokens of another tokenizer and for models of"
                                + " 130 M parameters; they do not compare with these, only the order of the models does."));
    }

    /** What a table has to the right. */
    private record Columns(String unit, List<Integer> sizes, String metric) {}

    private static ResultTable table(String title, Results results, Setup setup, Columns columns, String caption) {
        List<String> heads = new ArrayList<>(List.of("model", "parameters", "seeds"));
        columns.sizes().forEach(size -> heads.add(String.format(Locale.ROOT, "%,d", size)));
        List<List<String>> rows = new ArrayList<>();
        for (Reader reader : readers(setup)) {
            String model = reader.model().name();
            List<String> cells = new ArrayList<>(List.of(
                    reader.name(), ResultTable.count(results.parameters(model)), String.valueOf(results.seeds(model))));
            for (int size : columns.sizes()) {
                var estimate = results.estimate(model, reader.setting(columns.unit(), size), columns.metric());
                cells.add(
                        columns.metric().equals(PERPLEXITY)
                                ? ResultTable.cell(estimate, 3)
                                : ResultTable.percent(estimate));
            }
            rows.add(cells);
        }
        return new ResultTable(title, heads, rows, caption);
    }

    private static LineChart chart(String file, String title, Results results, Setup setup, Columns columns) {
        List<LineChart.Series> series = new ArrayList<>();
        for (Reader reader : readers(setup)) {
            List<LineChart.Point> points = new ArrayList<>();
            for (int size : columns.sizes()) {
                results.estimate(reader.model().name(), reader.setting(columns.unit(), size), columns.metric())
                        .ifPresent(found ->
                                points.add(new LineChart.Point(size, found.value(), found.low(), found.high())));
            }
            series.add(LineChart.Series.of(reader.name(), points));
        }
        return new LineChart(
                NAME + "-" + file,
                title,
                new LineChart.Axis(columns.unit(), true),
                new LineChart.Axis(columns.metric(), true),
                series);
    }
}
