package org.mamba4j.experiments;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.mamba4j.data.LengthCourse;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.tasks.dna.Bases;
import org.mamba4j.tasks.dna.DnaWindows;
import org.mamba4j.tasks.dna.Genome;

/**
 * DNA [1, section 4.3]: does a language model of bases gain from a longer context, and from more parameters; and can it
 * tell species apart, the better the more it reads ({@link SpeciesParts})?
 *
 * <p>Context: models of equal size and equal tokens in each step are trained for lengths 2^10 … 2^17 and asked for the same
 * bases of held-out contigs, in windows of that length ({@link DnaLosses}). As in the paper the length is warmed up: every
 * such training begins at 2^10 and doubles it in equal stages during the first half of its steps. Size: at 2^10, widths of
 * 64 … 256, every family. 2^17 is the longest: of three of the four genomes neither a held-out contig nor most of the others
 * have 2^18 bases. Either strand is read in training ("reverse-complement augmentation").
 *
 * <p>Departures from the paper: four small genomes (or as much of them as is public here) instead of the human one, 2^17
 * instead of 2^24 tokens in a step, hundreds instead of tens of thousands of steps.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752.
 */
final class DnaExperiment implements Experiment {
    static final String NAME = "dna";
    private static final String BITS = DnaLosses.BITS;

    /** A family with the largest context that it is asked at, and its learning rate. */
    private record Family(String name, double rate, int longestPower, Maker maker) {
        ModelRow row(int width, int layers, int length) {
            return maker.make(name, width, layers, length);
        }
    }

    /** Makes a model of some width, as deep as so many layers of attention, for sequences of some length. */
    @FunctionalInterface
    private interface Maker {
        ModelRow make(String name, int width, int layers, int length);
    }

    private static final List<Family> FAMILIES = List.of(
            new Family("Mamba", 4e-3, 17, DnaExperiment::mamba),
            new Family("Transformer++", 2e-3, 14, DnaExperiment::transformer),
            new Family("Hyena", 2e-3, 17, DnaExperiment::hyena),
            new Family("MemMamba", 4e-3, 14, DnaExperiment::memMamba));

    static ModelRow mamba(String name, int width, int layers, int length) {
        return ModelRow.of(name, "'model_type':'mamba'," + sizes(width, 2 * layers));
    }

    static ModelRow memMamba(String name, int width, int layers, int length) {
        return ModelRow.of(name, "'model_type':'memmamba','memory_summary_size':32," + sizes(width, 2 * layers));
    }

    /** The H3 block around a long convolution whose kernel fades over the training length. */
    static ModelRow hyena(String name, int width, int layers, int length) {
        return Composed.row(
                name,
                Bases.VOCAB_SIZE,
                width,
                2 * layers,
                Composed.parts("h3", "hyena") + ",'kernel_length':" + length);
    }

    static ModelRow transformer(String name, int width, int layers, int length) {
        int gated = Math.ceilDiv(8 * width, 3 * 16) * 16;
        return ModelRow.of(
                name,
                "'model_type':'llama','num_attention_heads':" + Math.max(1, width / 32) + ",'intermediate_size':"
                        + gated + "," + sizes(width, layers));
    }

    private static String sizes(int width, int layers) {
        return "'vocab_size':" + Bases.VOCAB_SIZE + ",'hidden_size':" + width + ",'num_hidden_layers':" + layers;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String question() {
        return "Does a language model of DNA gain from a longer context, and can it tell species apart?";
    }

    /**
     * The genomes in two parts.
     *
     * @param train to learn from
     * @param test held-out contigs
     */
    record Genomes(List<Genome> train, List<Genome> test) {
        static Genomes read(Setup setup) {
            Path folder = setup.data().resolve("dna");
            List<Genome.Split> all = Genome.readAll(folder, setup.by(60_000, 500_000, 500_000)).stream()
                    .map(Genome::split)
                    .toList();
            return new Genomes(
                    all.stream().map(Genome.Split::train).toList(),
                    all.stream().map(Genome.Split::test).toList());
        }

        String description() {
            return train.stream()
                    .map(genome -> genome.species() + " " + genome.length())
                    .toList()
                    .toString();
        }
    }

    @Override
    public List<String> dataSets() {
        return List.of("dna");
    }

    @Override
    public List<Part> parts(Setup setup) {
        Genomes genomes = Genomes.read(setup);
        List<Part> parts = new ArrayList<>();
        for (long seed : setup.seeds()) {
            for (int power : powers(setup)) {
                parts.add(length(FAMILIES.getFirst(), power, seed, setup, genomes));
            }
        }
        parts.addAll(SpeciesParts.all(setup, genomes));
        for (long seed : setup.seeds()) {
            for (Family family : FAMILIES.subList(0, setup.by(1, 1, FAMILIES.size()))) {
                for (int size = 0; size < setup.by(0, 3, 5); size++) {
                    parts.add(size(family, size, seed, setup, genomes));
                }
            }
            for (Family family : FAMILIES.subList(1, FAMILIES.size())) {
                for (int power : powers(setup)) {
                    if (power <= family.longestPower() && setup.scale() != Scale.SMOKE) {
                        parts.add(length(family, power, seed, setup, genomes));
                    }
                }
            }
        }
        return parts;
    }

    /** Lengths of context, as powers of 2. */
    private static List<Integer> powers(Setup setup) {
        return setup.by(List.of(7), List.of(8, 10, 12), List.of(10, 12, 14, 17));
    }

    /** Where the length begins, as a power of 2. */
    private static int firstPower(Setup setup) {
        return setup.by(5, 8, 10);
    }

    private static Part length(Family family, int power, long seed, Setup setup, Genomes genomes) {
        ModelRow row = family.row(setup.by(16, 48, 128), setup.by(1, 2, 6), 1 << power);
        LengthCourse course = course(firstPower(setup), power, tokens(setup), steps(setup));
        return part(row, "context 2^" + power, family.rate(), course, seed, setup, genomes);
    }

    private static Part size(Family family, int size, long seed, Setup setup, Genomes genomes) {
        int width = List.of(64, 96, 128, 192, 256).get(size) / setup.by(4, 2, 1);
        int layers = List.of(4, 5, 6, 7, 8).get(size) / setup.by(4, 2, 1);
        ModelRow row = family.row(width, layers, 1 << setup.by(6, 8, 10));
        // Rows are told apart by their names: the same model at the same length is another part in another row.
        ModelRow named = new ModelRow(row.name() + " of width " + width, row.json());
        int power = setup.by(6, 8, 10);
        LengthCourse course = course(power, power, tokens(setup), steps(setup));
        return part(named, "size", family.rate(), course, seed, setup, genomes);
    }

    private static int tokens(Setup setup) {
        return setup.by(1 << 10, 1 << 13, 1 << 17);
    }

    private static int steps(Setup setup) {
        return setup.stepsBy(25, 300, 1200);
    }

    /**
     * Lengths 2^{@code firstPower}, twice that, and so on in equal shares of the first half of the steps; the second half has
     * the length itself.
     *
     * @param power of 2: the length
     * @param tokens of each batch, whatever its length
     */
    static LengthCourse course(int firstPower, int power, int tokens, int steps) {
        int shorter = power - firstPower;
        return new LengthCourse(IntStream.rangeClosed(0, shorter)
                .mapToObj(i -> {
                    int length = 1 << (firstPower + i);
                    long firstBatch = i == 0 ? 0 : (long) steps * i / (2L * shorter);
                    return new LengthCourse.Phase(firstBatch, length, Math.max(1, tokens / length));
                })
                .toList());
    }

    private static Part part(
            ModelRow row, String setting, double rate, LengthCourse course, long seed, Setup setup, Genomes genomes) {
        LengthCourse.Phase last = course.phases().getLast();
        int length = last.length();
        int rows = last.rows();
        int piece = setup.by(1 << 10, 1 << 14, 1 << 17);
        int most = setup.by(4, 12, 64);
        return new TrainedPart(
                row,
                setting,
                seed,
                settings(setup, rate * setup.by(5, 2, 1), rows, length, steps(setup)),
                setup.device(),
                "DNA of " + genomes.description() + "; " + rows + " windows of " + length
                        + (course.phases().size() > 1 ? ", " + course : "") + ", held out " + most
                        + " pieces of " + piece + ", asked base by base",
                Staged.of(course, phase -> DnaWindows.training(genomes.train(), phase.length(), phase.rows(), seed)),
                (trained, run, figures) -> {
                    long start = System.nanoTime();
                    DnaLosses losses = DnaLosses.of(
                            trained,
                            run,
                            DnaWindows.heldOut(genomes.test(), length, rows, piece, most),
                            piece,
                            powers(setup));
                    losses.tell(setting, (System.nanoTime() - start) * 1e-9, figures);
                });
    }

    /** Settings of a training with a cosine schedule. */
    static List<String> settings(Setup setup, double rate, int rows, int length, int steps) {
        return List.of(
                "data.batch=" + rows,
                "data.length=" + length,
                "precision=" + (setup.device().equals("cpu") ? "float32" : "bfloat16"),
                "optimiser.lr=" + rate,
                "schedule.min_lr=" + rate / 100,
                "schedule.warmup_steps=" + steps / 10,
                "schedule.steps=" + steps);
    }

    @Override
    public Findings findings(Results results, Setup setup) {
        List<String> contexts =
                powers(setup).stream().map(power -> "context 2^" + power).toList();
        List<String> columns = new ArrayList<>(List.of("model", "parameters", "seeds"));
        contexts.forEach(context -> columns.add(context.substring("context ".length())));
        List<List<String>> byLength = new ArrayList<>();
        List<List<String>> bySize = new ArrayList<>();
        List<LineChart.Series> lines = new ArrayList<>();
        for (String model : results.models()) {
            if (contexts.stream().anyMatch(context -> results.values(model, context, BITS).length > 0)) {
                byLength.add(row(results, model, contexts));
                lines.add(LineChart.Series.of(model, points(results, model, setup)));
            }
            if (results.values(model, "size", BITS).length > 0) {
                bySize.add(row(results, model, List.of("size")));
            }
        }
        String caption = String.format(
                Locale.ROOT,
                "Bits per base of held-out contigs, the same bases in every cell; 2 is a guess. %,d steps of %,d tokens.",
                steps(setup),
                tokens(setup));
        List<ResultTable> tables = new ArrayList<>(List.of(
                new ResultTable(
                        "DNA: loss by length of the context",
                        columns,
                        byLength,
                        caption + " Trainings begin at 2^" + firstPower(setup)
                                + " and double the length in equal stages of the first half of their steps."),
                new ResultTable(
                        "DNA: loss by size of the model",
                        List.of("model", "parameters", "seeds", BITS),
                        bySize,
                        caption + " Context 2^" + setup.by(6, 8, 10) + ".")));
        tables.add(1, DnaLosses.table(results, powers(setup), contexts));
        List<LineChart> charts = new ArrayList<>(List.of(new LineChart(
                "dna-context",
                "DNA: loss by length of the context",
                new LineChart.Axis("bases of context, as a power of 2", false),
                new LineChart.Axis(BITS, false),
                lines)));
        SpeciesParts.addFindings(results, setup, tables, charts);
        return new Findings(
                tables,
                charts,
                List.of(
                        "Paper: human genome, 2^24 tokens a step and 20,000 steps at every length to 2^20, length warmed up;"
                                + " Mamba's loss falls with length, HyenaDNA's rises. Published as a picture only.",
                        "A sequence of a longer context has fewer neighbours in its step: at 2^17 there is one."));
    }

    private static List<String> row(Results results, String model, List<String> settings) {
        List<String> cells = new ArrayList<>(
                List.of(model, ResultTable.count(results.parameters(model)), String.valueOf(results.seeds(model))));
        settings.forEach(setting -> cells.add(ResultTable.cell(results.estimate(model, setting, BITS), 4)));
        return cells;
    }

    private static List<LineChart.Point> points(Results results, String model, Setup setup) {
        List<LineChart.Point> points = new ArrayList<>();
        for (int power : powers(setup)) {
            results.estimate(model, "context 2^" + power, BITS).ifPresent(bits -> points.add(point(power, bits)));
        }
        return points;
    }

    static LineChart.Point point(double x, Estimate y) {
        return new LineChart.Point(x, y.value(), y.low(), y.high());
    }
}
