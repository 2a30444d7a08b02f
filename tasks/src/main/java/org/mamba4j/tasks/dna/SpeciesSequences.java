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
 * DNA that is to be told apart by species: L bases, then {@link Bases#SPECIES}, after which the token of the species
 * should follow. A classifier in the form of a language model: what it says is read off the last position, where alone
 * the loss has its weight, so everything that trains and runs language models serves.
 *
 * <p>As in the Mamba paper's classification of apes [1], a sequence is drawn in three steps, the species uniform, then a
 * contig, then a place, so that a large genome is not the better guess. A place has L known bases: runs of unknown ones are
 * marks of how a genome was read, and of few genomes. Only contigs with such a run of at least {@link #CONTIG} bases take
 * part, at every length the same ones; each sequence is read from either strand with equal chance.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.3.3.
 */
public final class SpeciesSequences implements BatchSource {
    /** Bases that a contig must have in one run; the longest sequence there can be. */
    public static final int CONTIG = 1 << 14;

    private final List<List<Source>> species;
    private final int length;
    private final int rows;
    private final double textWeight;
    private final long seed;

    /**
     * A contig to draw from.
     *
     * @param stretches of at least L known bases
     * @param places where a sequence can begin
     */
    private record Source(Contig contig, List<Contig.Stretch> stretches, long places) {
        static Source of(Contig contig, int length) {
            List<Contig.Stretch> stretches = contig.knownStretches(length);
            return new Source(
                    contig,
                    stretches,
                    stretches.stream()
                            .mapToLong(stretch -> stretch.length() - length + 1L)
                            .sum());
        }

        void draw(int[] bases, SplittableRandom random) {
            long place = random.nextLong(places);
            for (Contig.Stretch stretch : stretches) {
                long here = stretch.length() - bases.length + 1L;
                if (place < here) {
                    contig.read(stretch.from() + (int) place, bases.length, bases, 0);
                    break;
                }
                place -= here;
            }
            if (random.nextBoolean()) {
                Bases.reverseComplement(bases, 0, bases.length);
            }
        }
    }

    /**
     * Endless batches.
     *
     * @param genomes one of each species, at most {@link Bases#MAX_SPECIES}
     * @param length bases of a sequence (L); the batches are one longer
     * @param rows sequences of a batch (B)
     * @param textWeight factor of the mean loss over the bases themselves; that over species has 1
     * @throws UserError if a genome has no contig that can be drawn from
     */
    public SpeciesSequences(List<Genome> genomes, int length, int rows, double textWeight, long seed) {
        if (genomes.size() < 2 || genomes.size() > Bases.MAX_SPECIES) {
            throw new UserError("species are told apart by 2 to " + Bases.MAX_SPECIES + " genomes, but there are "
                    + genomes.size());
        }
        if (length < 1 || length > CONTIG) {
            throw new UserError("sequences of " + length + " bases: must have 1 to " + CONTIG);
        }
        this.species = genomes.stream().map(genome -> sources(genome, length)).toList();
        this.length = length;
        this.rows = rows;
        this.textWeight = textWeight;
        this.seed = seed;
    }

    private static List<Source> sources(Genome genome, int length) {
        List<Source> sources = genome.contigs().stream()
                .filter(contig -> !contig.knownStretches(CONTIG).isEmpty())
                .map(contig -> Source.of(contig, length))
                .toList();
        if (sources.isEmpty()) {
            throw new UserError("no contig of " + genome.species() + " has " + CONTIG + " known bases in a run");
        }
        return sources;
    }

    /** One sequence and where it is from. */
    static final class Sample {
        private final int species;
        private final int[] bases;

        Sample(int species, int[] bases) {
            this.species = species;
            this.bases = bases;
        }

        int species() {
            return species;
        }

        int[] bases() {
            return bases;
        }
    }

    /** The same ones for the same random numbers. */
    private Sample draw(SplittableRandom random) {
        int drawn = random.nextInt(species.size());
        List<Source> contigs = species.get(drawn);
        int[] bases = new int[length];
        contigs.get(random.nextInt(contigs.size())).draw(bases, random);
        return new Sample(drawn, bases);
    }

    /** The sequences of batch {@code index}. */
    List<Sample> samples(long index) {
        SplittableRandom random = Draws.of(seed, index);
        List<Sample> samples = new ArrayList<>();
        for (int row = 0; row < rows; row++) {
            samples.add(draw(random));
        }
        return samples;
    }

    @Override
    public Batch batch(long index) {
        int width = length + 1;
        int[] inputs = new int[rows * width];
        int[] targets = new int[inputs.length];
        float[] weights = new float[inputs.length];
        Arrays.fill(weights, (float) (textWeight / ((double) rows * (length - 1))));
        List<Sample> samples = samples(index);
        for (int row = 0; row < rows; row++) {
            int from = row * width;
            int[] bases = samples.get(row).bases();
            System.arraycopy(bases, 0, inputs, from, length);
            System.arraycopy(bases, 1, targets, from, length - 1);
            inputs[from + length] = Bases.SPECIES;
            targets[from + length - 1] = Bases.SPECIES; // nothing to be learnt from
            weights[from + length - 1] = 0;
            targets[from + length] = Bases.FIRST_SPECIES + samples.get(row).species();
            weights[from + length] = 1f / rows;
        }
        return Batch.weighted(rows, inputs, targets, weights);
    }

    @Override
    public long batchesPerEpoch() {
        return Long.MAX_VALUE;
    }

    @Override
    public int vocabSize() {
        return Bases.VOCAB_SIZE;
    }
}
