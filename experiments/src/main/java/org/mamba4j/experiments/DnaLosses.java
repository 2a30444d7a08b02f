package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;
import org.mamba4j.data.Batch;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.torch.train.TaskTraining;

/**
 * What models of different context pay for the same held-out bases, base by base.
 *
 * <p>A window of L bases shows L before its last base, but none before its first. So two figures are taken: of all bases, as
 * the paper does, where a longer window also wins by beginning less often; and of those bases that stand in the second half of
 * their window at every length that is compared, so that every model has at least half of its context before each of them.
 *
 * <p>Bases next to each other share their fate, so intervals are over blocks: the pieces that contigs are cut into, each cut
 * in {@value #BLOCKS}. Models are compared block by block, which takes out that some stretches are harder than others.
 *
 * @param all mean bits of all bases, by block
 * @param settled of those with half of each context before them, by block; without blocks that have none
 * @param bits mean over all bases
 */
record DnaLosses(List<Double> all, List<Double> settled, double bits) {
    static final String BITS = "bits per base";
    static final String SETTLED = "bits per base, half of the context seen";

    /** Of a piece. */
    private static final int BLOCKS = 8;

    /**
     * Asks a model for all held-out bases.
     *
     * @param windows as {@link org.mamba4j.tasks.dna.DnaWindows#heldOut} cuts pieces
     * @param piece bases of a piece
     * @param powers lengths that are compared, as powers of 2
     */
    static DnaLosses of(TaskTraining trained, PartRun run, List<Batch> windows, int piece, List<Integer> powers) {
        int count = windows.stream()
                .mapToInt(batch -> batch.rows() * batch.length())
                .sum();
        int block = piece / BLOCKS;
        double[][] sums = new double[2][count / block];
        double[][] counts = new double[2][count / block];
        int base = 0;
        for (Batch batch : windows) {
            run.pauseIfTimeIsUp();
            float[] bits = trained.network().bits(batch);
            for (int i = 0; i < bits.length; i++, base++) {
                if (batch.weights()[i] > 0) {
                    int place = base % piece;
                    int last = powers.stream().allMatch(power -> ((place >> (power - 1)) & 1) == 1) ? 1 : 0;
                    for (int kind = 0; kind <= last; kind++) {
                        sums[kind][base / block] += bits[i];
                        counts[kind][base / block]++;
                    }
                }
            }
        }
        return new DnaLosses(
                means(sums[0], counts[0]),
                means(sums[1], counts[1]),
                Arrays.stream(sums[0]).sum() / Arrays.stream(counts[0]).sum());
    }

    private static List<Double> means(double[] sums, double[] counts) {
        return IntStream.range(0, sums.length)
                .filter(i -> counts[i] > 0)
                .mapToObj(i -> sums[i] / counts[i])
                .toList();
    }

    /** Hands over all figures. */
    void tell(String setting, double seconds, TrainedPart.Figures figures) {
        figures.add(setting, BITS, bits, seconds);
        figures.add(
                setting,
                SETTLED,
                settled.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN),
                0);
        for (int i = 0; i < all.size(); i++) {
            figures.add(setting, BITS + block(i), all.get(i), 0);
        }
        for (int i = 0; i < settled.size(); i++) {
            figures.add(setting, SETTLED + block(i), settled.get(i), 0);
        }
    }

    private static String block(int i) {
        return ", block " + i;
    }

    /** Means over the seeds, block by block; empty where nothing was measured. */
    private static double[] blocks(Results results, String model, String setting, String metric) {
        List<Double> means = new ArrayList<>();
        for (int i = 0; results.values(model, setting, metric + block(i)).length > 0; i++) {
            means.add(Arrays.stream(results.values(model, setting, metric + block(i)))
                    .average()
                    .orElse(Double.NaN));
        }
        return means.stream().mapToDouble(Double::doubleValue).toArray();
    }

    /** What {@code setting} costs more than {@code before}, in bits per base, with Student's interval over blocks. */
    private static Optional<Estimate> change(
            Results results, String model, String before, String setting, String metric) {
        double[] from = blocks(results, model, before, metric);
        double[] to = blocks(results, model, setting, metric);
        if (from.length == 0 || from.length != to.length) {
            return Optional.empty();
        }
        return Optional.of(Estimate.ofMean(
                IntStream.range(0, to.length).mapToDouble(i -> to[i] - from[i]).toArray()));
    }

    /** What a longer context changes, model by model. */
    static ResultTable table(Results results, List<Integer> powers, List<String> contexts) {
        List<String> columns = new ArrayList<>(List.of("model", "bases", "2^" + powers.getFirst()));
        powers.stream().skip(1).forEach(power -> columns.add("2^" + power));
        List<List<String>> rows = new ArrayList<>();
        for (String model : results.models()) {
            for (String metric : List.of(BITS, SETTLED)) {
                String first = contexts.getFirst();
                Optional<Estimate> start = results.estimate(model, first, metric);
                if (start.isEmpty() || blocks(results, model, first, metric).length == 0) {
                    continue;
                }
                List<String> cells = new ArrayList<>(List.of(
                        model, metric.equals(BITS) ? "all" : "half of each context seen", ResultTable.cell(start, 4)));
                contexts.stream()
                        .skip(1)
                        .forEach(context -> cells.add(change(results, model, first, context, metric)
                                .map(DnaLosses::signed)
                                .orElse("")));
                rows.add(cells);
            }
        }
        return new ResultTable(
                "DNA: what a longer context changes",
                columns,
                rows,
                "Bits per base at the shortest context, and what each longer one adds to them (below 0: it helps), on the"
                        + " same bases, with half the width of Student's 95 % interval over blocks of the held-out contigs."
                        + " Second row of a model: only bases that have at least half of their window before them at each"
                        + " length, so that a longer window does not win by beginning less often.");
    }

    private static String signed(Estimate change) {
        return String.format(Locale.ROOT, "%+.4f ± %.4f", change.value(), (change.high() - change.low()) / 2);
    }
}
