package org.mamba4j.tasks.dna;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Draws;

/**
 * Windows of DNA for a language model: L bases, and after each the one that follows.
 *
 * <p>{@link #training}: endless, from any place of any contig that is long enough, all places equally likely; each window is
 * read from either strand with equal chance ("reverse-complement augmentation"). {@link #heldOut}: every contig cut into
 * pieces of one length, whatever the length L of the windows, which must divide it: so that models of different context
 * are asked for the same bases. A base that nobody knows is not asked for there; in training it is a token like others.
 */
public final class DnaWindows {
    private DnaWindows() {}

    /**
     * Endless batches of {@code rows} windows.
     *
     * @param length bases of a window (L)
     * @throws UserError if no contig has L + 1 bases
     */
    public static BatchSource training(List<Genome> genomes, int length, int rows, long seed) {
        List<Contig> contigs = genomes.stream()
                .flatMap(genome -> genome.contigs().stream())
                .filter(contig -> contig.length() > length)
                .toList();
        if (contigs.isEmpty()) {
            throw new UserError("no contig has more than " + length + " bases: use shorter windows");
        }
        return new Random(contigs, length, rows, seed);
    }

    private record Random(List<Contig> contigs, int length, int rows, long seed) implements BatchSource {
        @Override
        public Batch batch(long index) {
            SplittableRandom random = Draws.of(seed, index);
            int[] inputs = new int[rows * length];
            int[] targets = new int[inputs.length];
            int[] window = new int[length + 1];
            for (int row = 0; row < rows; row++) {
                draw(window, random);
                System.arraycopy(window, 0, inputs, row * length, length);
                System.arraycopy(window, 1, targets, row * length, length);
            }
            return Batch.of(rows, inputs, targets);
        }

        private void draw(int[] window, SplittableRandom random) {
            long places = contigs.stream()
                    .mapToLong(contig -> contig.length() - length)
                    .sum();
            long place = random.nextLong(places);
            int contig = 0;
            while (place >= contigs.get(contig).length() - length) {
                place -= contigs.get(contig).length() - length;
                contig++;
            }
            contigs.get(contig).read((int) place, window.length, window, 0);
            if (random.nextBoolean()) {
                Bases.reverseComplement(window, 0, window.length);
            }
        }

        @Override
        public long batchesPerEpoch() {
            long places = contigs.stream().mapToLong(Contig::length).sum();
            return Math.max(1, places / length / rows);
        }

        @Override
        public int vocabSize() {
            return Bases.VOCAB_SIZE;
        }
    }

    /**
     * Windows of all of {@code genomes}, in order; each base that is asked for has the weight 1, so a loss is their sum.
     *
     * @param length of a window (L), divides {@code piece}
     * @param rows windows of a batch; the last has what is left
     * @param piece bases of the pieces that contigs are cut into; what is left at the end of a contig is not used
     * @param most pieces at most, spread evenly
     * @throws UserError if there is no such piece
     */
    public static List<Batch> heldOut(List<Genome> genomes, int length, int rows, int piece, int most) {
        if (length < 1 || rows < 1 || piece % length != 0) {
            throw new IllegalArgumentException(rows + " windows of " + length + " in pieces of " + piece);
        }
        List<int[]> windows = new ArrayList<>();
        for (int[] whole : pieces(genomes, piece, most)) {
            for (int from = 0; from < piece; from += length) {
                windows.add(Arrays.copyOfRange(whole, from, from + length + 1));
            }
        }
        List<Batch> batches = new ArrayList<>();
        for (int from = 0; from < windows.size(); from += rows) {
            batches.add(batch(windows.subList(from, Math.min(windows.size(), from + rows))));
        }
        return batches;
    }

    /** Each one base longer than {@code piece}: the last is only asked for. */
    private static List<int[]> pieces(List<Genome> genomes, int piece, int most) {
        List<int[]> all = new ArrayList<>();
        for (Genome genome : genomes) {
            for (Contig contig : genome.contigs()) {
                for (int from = 0; from + piece < contig.length(); from += piece) {
                    int[] bases = new int[piece + 1];
                    contig.read(from, bases.length, bases, 0);
                    all.add(bases);
                }
            }
        }
        if (all.isEmpty()) {
            throw new UserError("no held-out contig has more than " + piece + " bases: use shorter windows");
        }
        int count = Math.min(most, all.size());
        List<int[]> chosen = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            chosen.add(all.get((int) ((long) i * all.size() / count)));
        }
        return chosen;
    }

    private static Batch batch(List<int[]> windows) {
        int length = windows.getFirst().length - 1;
        int[] inputs = new int[windows.size() * length];
        int[] targets = new int[inputs.length];
        for (int row = 0; row < windows.size(); row++) {
            System.arraycopy(windows.get(row), 0, inputs, row * length, length);
            System.arraycopy(windows.get(row), 1, targets, row * length, length);
        }
        float[] weights = new float[targets.length];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = targets[i] == Bases.N ? 0 : 1;
        }
        return Batch.weighted(windows.size(), inputs, targets, weights);
    }
}
