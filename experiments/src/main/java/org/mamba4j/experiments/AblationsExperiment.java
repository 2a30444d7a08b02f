package org.mamba4j.experiments;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.mamba4j.data.BatchSource;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.torch.train.TaskTraining;

/**
 * What of a Mamba matters [1, tables 6 to 10]: the block, the inner layer, which of Δ, B and C depend on the token, what A
 * is at first, the rank of Δ's projection, and the size of the state. Every variant is a {@code composed} model that
 * differs from the plain one, S6 in a Mamba block, in what its name says.
 *
 * <p>Departures from the paper: small models of bytes of books instead of 350 million parameters on the Pile, so perplexities
 * are those of bytes and far smaller; what can be compared is their order.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.6.
 */
final class AblationsExperiment implements Experiment {
    static final String NAME = "ablations";
    static final String PERPLEXITY = "perplexity";
    private static final String PLAIN = "S6";

    /** Tables that are run to see that everything runs: sizes and ranks run if the rest does. */
    private static final int SMOKE_TABLES = 3;

    /**
     * A place in one of the paper's tables.
     *
     * @param label of the row there
     * @param model that stands there
     * @param published perplexity
     */
    private record Place(String label, String model, String published) {}

    private record Group(String title, List<Place> places) {}

    private static Place place(String label, String model, String published) {
        return new Place(label, model, published);
    }

    private static final List<Group> TABLES = List.of(
            new Group(
                    "Which of Δ, B, C is selective (table 7)",
                    List.of(
                            place("none", "S6 selective none", "10.93"),
                            place("B", "S6 selective b", "10.15"),
                            place("C", "S6 selective c", "9.98"),
                            place("Δ", "S6 selective delta", "9.81"),
                            place("Δ, B, C", PLAIN, "8.71"))),
            new Group(
                    "A at first (table 8)",
                    List.of(
                            place("-1/2 + ni, complex", "S6 A lin", "9.16"),
                            place("-1/2", "S6 A half", "8.85"),
                            place("-(n + 1)", PLAIN, "8.71"),
                            place("-exp(N(0, 1))", "S6 A random", "8.71"))),
            new Group(
                    "Block and inner layer (table 6)",
                    List.of(
                            place("H3, Hyena", "H3 block, Hyena", "10.24"),
                            place("H3, S4 complex", "H3 block, S4D lin", "10.30"),
                            place("H3, S4 real", "H3 block, S4D real", "10.34"),
                            place("H3, S6", "H3 block, S6", "8.95"),
                            place("Mamba, Hyena", "Hyena", "10.75"),
                            place("Mamba, S4 complex", "S4D lin", "10.54"),
                            place("Mamba, S4 real", "S4D real", "10.56"),
                            place("Mamba, S6", PLAIN, "8.69"))),
            new Group(
                    "Size of the state, constant and selective B and C (table 10)",
                    List.of(
                            place("N = 1, constant", "S6 selective delta, N 1", "9.88"),
                            place("N = 2, constant", "S6 selective delta, N 2", "9.86"),
                            place("N = 4, constant", "S6 selective delta, N 4", "9.82"),
                            place("N = 8, constant", "S6 selective delta, N 8", "9.82"),
                            place("N = 16, constant", "S6 selective delta", "9.81"),
                            place("N = 1, selective", "S6 N 1", "9.73"),
                            place("N = 2, selective", "S6 N 2", "9.40"),
                            place("N = 4, selective", "S6 N 4", "9.09"),
                            place("N = 8, selective", "S6 N 8", "8.84"),
                            place("N = 16, selective", PLAIN, "8.71"))),
            new Group(
                    "Rank of Δ's projection (table 9; the paper has 2,048 channels, here there are twice the width)",
                    List.of(
                            place("none", "S6 selective b-c", "9.12"),
                            place("1", "S6 rank 1", "8.97"),
                            place("2", "S6 rank 2", "8.97"),
                            place("4", "S6 rank 4", "8.91"),
                            place("8", PLAIN, "8.83"),
                            place("16", "S6 rank 16", "8.84"),
                            place("32", "S6 rank 32", "8.80"),
                            place("64", "S6 rank 64", "8.71"))));

    /** What each model's configuration says beside its sizes. */
    private static Map<String, String> variants() {
        Map<String, String> all = new LinkedHashMap<>();
        String anyRank = Composed.parts("mamba", "s6");
        String rank8 = ",'time_step_rank':8";
        String mamba = anyRank + rank8;
        all.put(PLAIN, mamba);
        for (String selective : List.of("none", "b", "c", "b-c")) {
            all.put("S6 selective " + selective, anyRank + ",'selective':'" + selective + "'");
        }
        all.put("S6 selective delta", mamba + ",'selective':'delta'");
        for (String init : List.of("lin", "half", "random")) {
            all.put("S6 A " + init, mamba + ",'a_init':'" + init + "'");
        }
        Map<String, String> inner = new LinkedHashMap<>();
        inner.put("Hyena", "'inner_layer':'hyena'");
        inner.put("S4D lin", "'inner_layer':'s4d','a_init':'lin'");
        inner.put("S4D real", "'inner_layer':'s4d','a_init':'real'");
        inner.forEach((name, fields) -> {
            all.put("H3 block, " + name, "'block':'h3'," + fields);
            all.put(name, "'block':'mamba'," + fields);
        });
        all.put("H3 block, S6", Composed.parts("h3", "s6") + rank8);
        for (int states : new int[] {1, 2, 4, 8}) {
            all.put("S6 N " + states, mamba + ",'state_size':" + states);
            all.put("S6 selective delta, N " + states, mamba + ",'selective':'delta','state_size':" + states);
        }
        for (int rank : new int[] {1, 2, 4, 16, 32, 64}) {
            all.put("S6 rank " + rank, anyRank + ",'time_step_rank':" + rank);
        }
        return all;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String question() {
        return "Which parts of a Mamba make it predict better?";
    }

    private static int steps(Setup setup) {
        return setup.stepsBy(20, 100, 2_000);
    }

    @Override
    public List<Part> parts(Setup setup) {
        int length = setup.by(32, 128, 512);
        Map<String, String> variants = variants();
        List<Part> parts = new ArrayList<>();
        for (long seed : setup.seeds()) {
            TABLES.stream()
                    .limit(setup.by(SMOKE_TABLES, TABLES.size(), TABLES.size()))
                    .flatMap(group -> group.places().stream())
                    .map(Place::model)
                    .distinct()
                    .forEach(model -> parts.add(part(model, String.valueOf(variants.get(model)), length, seed, setup)));
        }
        return parts;
    }

    private static Part part(String model, String fields, int length, long seed, Setup setup) {
        int batch = setup.by(8, 8, 32);
        int steps = steps(setup);
        int width = setup.by(16, 64, 128);
        ModelRow row = Composed.row(model, 256, width, setup.by(1, 2, 4), fields);
        List<String> settings = List.of(
                "threads=" + setup.by(1, 0, 0),
                "data.batch=" + batch,
                "data.length=" + length,
                "optimiser.lr=" + setup.by(2e-2, 5e-3, 3e-3),
                "schedule.min_lr=1e-5",
                "schedule.warmup_steps=" + steps / 10,
                "schedule.steps=" + steps);
        Path data = setup.data();
        boolean smoke = setup.scale() == Scale.SMOKE;
        BatchSource source =
                smoke ? new LetterChain(length, batch, seed) : BookText.training(data, length, batch, seed);
        int batches = setup.by(4, 4, 16);
        BatchSource heldOut =
                smoke ? new LetterChain(length, batch, -1) : BookText.heldOut(data, length, batch, batches * batch);
        return new TrainedPart(
                row,
                "",
                seed,
                settings,
                setup.device(),
                (smoke ? "a chain of letters" : "bytes of books") + ", " + batch + " windows of " + length
                        + "; measured on " + batches * batch + " windows",
                source,
                (trained, run, figures) -> measure(trained, figures, heldOut, batches));
    }

    private static void measure(TaskTraining trained, TrainedPart.Figures figures, BatchSource heldOut, int batches) {
        long start = System.nanoTime();
        double sum = 0;
        for (int i = 0; i < batches; i++) {
            sum += trained.loss(heldOut.batch(i));
        }
        figures.add("", PERPLEXITY, Math.exp(sum / batches), (System.nanoTime() - start) * 1e-9);
    }

    @Override
    public Findings findings(Results results, Setup setup) {
        List<ResultTable> tables = new ArrayList<>();
        for (Group group : TABLES) {
            List<List<String>> rows = group.places().stream()
                    .map(place -> {
                        Optional<Estimate> ours = results.estimate(place.model(), "", PERPLEXITY);
                        return List.of(
                                place.label(),
                                ResultTable.cell(ours, 3),
                                place.published(),
                                ResultTable.count(results.parameters(place.model())),
                                results.seeds(place.model()) == 0 ? "" : "" + results.seeds(place.model()));
                    })
                    .toList();
            tables.add(new ResultTable(
                    group.title(),
                    List.of("", "perplexity of bytes", "published, of tokens", "parameters", "seeds"),
                    rows,
                    "Mean over seeds with its 95 % interval; " + ResultTable.count(steps(setup)) + " steps. Ours is not"
                            + " to be compared with theirs, but their orders are."));
        }
        return new Findings(
                tables,
                List.of(),
                List.of("Paper: about 350 million parameters, as many tokens of the Pile as Chinchilla's rule gives,"
                        + " windows of 2,048 tokens. Here: "
                        + (setup.scale() == Scale.SMOKE
                                ? "a chain of letters, to see that it runs."
                                : "bytes of books, width " + setup.by(16, 64, 128) + ", " + setup.by(1, 2, 4)
                                        + " layers.")));
    }
}
