package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.tasks.dna.Composition;
import org.mamba4j.tasks.dna.SpeciesSequences;
import org.mamba4j.torch.train.Answers;
import org.mamba4j.torch.train.TaskTraining;

/**
 * Which species is a piece of DNA from? Asked of held-out contigs by length, of models and of the frequencies of words
 * ({@link Composition}), which show how much can be told without any order.
 *
 * <p>The answer is a token after the sequence, see {@link SpeciesSequences}. A model for length L is trained at 2^8, 2^10 …
 * in equal shares of its steps, and last at L (the paper warms up the length too); half the mean loss over the bases is
 * added, without which a few hundred steps are too few to learn features from one answer a sequence.
 */
final class SpeciesParts {
    private static final String RIGHT = "sequences right";
    private static final String ASKED = "sequences asked";
    private static final double TEXT_WEIGHT = 0.5;
    private static final int FIRST_POWER = 8;

    /** Test sequences are drawn from seeds that no training uses, the same ones for every model. */
    private static final long TEST_SEED = 0x7E57L << 32;

    private static final int TEST_ROWS = 20;

    private SpeciesParts() {}

    private static List<Integer> powers(Setup setup) {
        return setup.by(List.of(7), List.of(5, 8, 10), List.of(5, 8, 10, 12, 14));
    }

    private static List<ModelRow> models(Setup setup, int length) {
        int width = setup.by(16, 48, 128);
        int layers = setup.by(1, 2, 6);
        List<ModelRow> rows = List.of(
                DnaExperiment.mamba("Mamba", width, layers, length),
                DnaExperiment.transformer("Transformer++", width, layers, length),
                DnaExperiment.hyena("Hyena", width, layers, length),
                DnaExperiment.memMamba("MemMamba", width, layers, length));
        return setup.scale() == Scale.SMOKE ? rows.subList(0, 1) : rows;
    }

    static List<Part> all(Setup setup, DnaExperiment.Genomes genomes) {
        List<Part> parts = new ArrayList<>();
        for (int word = 1; word <= 4; word++) {
            parts.add(new WordsPart(word, setup, genomes));
        }
        for (long seed : setup.seeds()) {
            int models = models(setup, 1).size();
            for (int model = 0; model < models; model++) {
                for (int power : powers(setup)) {
                    parts.add(part(models(setup, 1 << power).get(model), power, seed, setup, genomes));
                }
            }
        }
        return parts;
    }

    private static String setting(int power) {
        return "species 2^" + power;
    }

    private static int tests(Setup setup) {
        return setup.by(4, 25, 50); // batches of TEST_ROWS
    }

    private static int rows(Setup setup) {
        return setup.by(16, 16, 32);
    }

    private static int steps(Setup setup) {
        return setup.stepsBy(100, 300, 800);
    }

    private static SpeciesSequences questions(DnaExperiment.Genomes genomes, int power) {
        return new SpeciesSequences(genomes.test(), 1 << power, TEST_ROWS, 0, TEST_SEED + power);
    }

    private static Part part(ModelRow row, int power, long seed, Setup setup, DnaExperiment.Genomes genomes) {
        int rows = rows(setup);
        int steps = steps(setup);
        LengthCourse course = course(power, rows, steps);
        double rate = row.name().startsWith("Trans") || row.name().equals("Hyena") ? 1e-3 : 2e-3;
        return new TrainedPart(
                row,
                setting(power),
                seed,
                DnaExperiment.settings(setup, rate * setup.by(10, 2, 1), rows, 1 << power, steps),
                setup.device(),
                "species of " + genomes.description() + "; " + course + ", text " + TEXT_WEIGHT + "; asked "
                        + tests(setup) * TEST_ROWS + " times",
                Staged.of(
                        course,
                        phase ->
                                new SpeciesSequences(genomes.train(), phase.length(), phase.rows(), TEXT_WEIGHT, seed)),
                (trained, run, figures) -> measure(trained, run, figures, setup, questions(genomes, power), power));
    }

    /** Equal shares of the steps at 2^8, 2^10 … and last the length itself. */
    private static LengthCourse course(int power, int rows, int steps) {
        int phases = Math.max(1, 1 + Math.ceilDiv(power - FIRST_POWER, 2));
        return new LengthCourse(IntStream.range(0, phases)
                .mapToObj(i -> new LengthCourse.Phase(
                        (long) steps * i / phases, 1 << (i == phases - 1 ? power : FIRST_POWER + 2 * i), rows))
                .toList());
    }

    private static void measure(
            TaskTraining trained,
            PartRun run,
            TrainedPart.Figures figures,
            Setup setup,
            SpeciesSequences questions,
            int power) {
        long start = System.nanoTime();
        Answers answers = Answers.NONE;
        for (int i = 0; i < tests(setup); i++) {
            run.pauseIfTimeIsUp();
            answers = answers.and(trained.answers(questions.batch(i)));
        }
        double seconds = (System.nanoTime() - start) * 1e-9;
        figures.add(setting(power), RIGHT, (double) answers.answersRight(), seconds);
        figures.add(setting(power), ASKED, (double) answers.answers(), seconds);
    }

    /** The classifier of words, which needs no training but counting. */
    private record WordsPart(int word, Setup setup, DnaExperiment.Genomes genomes) implements Part {
        @Override
        public String model() {
            return "frequencies of " + word + (word == 1 ? " base" : " bases");
        }

        @Override
        public String setting() {
            return "species";
        }

        @Override
        public long seed() {
            return setup.seeds().getFirst();
        }

        @Override
        public String recipe() {
            return "words of " + word + " in " + genomes.description() + " at " + powers(setup) + "; asked "
                    + tests(setup) * TEST_ROWS + " times";
        }

        @Override
        public double projectSeconds() {
            return 1;
        }

        @Override
        public List<Result> run(PartRun run) {
            Composition composition = new Composition(genomes.train(), word);
            List<Result> results = new ArrayList<>();
            for (int power : powers(setup)) {
                int right = composition.right(questions(genomes, power), tests(setup));
                results.add(new Result(model(), SpeciesParts.setting(power), seed(), RIGHT, right, 0, 0));
                results.add(new Result(
                        model(), SpeciesParts.setting(power), seed(), ASKED, tests(setup) * TEST_ROWS, 0, 0));
            }
            return results;
        }
    }

    static void addFindings(Results results, Setup setup, List<ResultTable> tables, List<LineChart> charts) {
        List<String> columns = new ArrayList<>(List.of("model", "parameters", "seeds"));
        powers(setup).forEach(power -> columns.add("2^" + power));
        List<List<String>> rows = new ArrayList<>();
        List<LineChart.Series> lines = new ArrayList<>();
        for (String model : results.models()) {
            List<String> cells = new ArrayList<>(
                    List.of(model, ResultTable.count(results.parameters(model)), String.valueOf(results.seeds(model))));
            List<LineChart.Point> points = new ArrayList<>();
            for (int power : powers(setup)) {
                Optional<Estimate> share = share(results, model, power).map(each -> each.map(x -> 100 * x));
                cells.add(ResultTable.cell(share, 1));
                share.ifPresent(percent -> points.add(DnaExperiment.point(power, percent)));
            }
            if (!points.isEmpty()) {
                rows.add(cells);
                lines.add(LineChart.Series.of(model, points));
            }
        }
        tables.add(new ResultTable(
                "DNA: species told apart, by length",
                columns,
                rows,
                steps(setup) + " steps of " + rows(setup) + " sequences. Percent of " + tests(setup) * TEST_ROWS
                        + " sequences a length (and seed) from held-out contigs, with"
                        + " half the width of Wilson's 95 % interval; it says nothing of other contigs, of which one is"
                        + " held out in each genome. Each species is as frequent. Frequencies: the naive Bayes"
                        + " classifier of words of so many bases. Paper (five apes, chance 20 %): Mamba 7M 30.0 at"
                        + " 2^10, 31.5 at 2^14, 81.3 at 2^20."));
        charts.add(new LineChart(
                "dna-species",
                "DNA: species told apart, by length",
                new LineChart.Axis("bases read, as a power of 2", false),
                new LineChart.Axis("accuracy (%)", false),
                lines));
    }

    private static Optional<Estimate> share(Results results, String model, int power) {
        double right =
                Arrays.stream(results.values(model, setting(power), RIGHT)).sum();
        double asked =
                Arrays.stream(results.values(model, setting(power), ASKED)).sum();
        return asked == 0 ? Optional.empty() : Optional.of(Estimate.ofShare((int) right, (int) asked));
    }
}
