package org.mamba4j.tasks.dna;

import java.util.Arrays;
import java.util.List;

/**
 * Tells species apart by how often each word of k bases occurs, wherever it does: what can be told without any order
 * beyond k bases.
 *
 * <p>Genomes differ in their share of G and C, in the words that they avoid, in their codons; and the longer a sequence,
 * the surer its shares. A model of long sequences that does no better has learnt to count. So this is what such a model is
 * to be held against [1]: the naive Bayes classifier of words, Σ log p(word | species), with p counted in the contigs for
 * training, each species alike before anything is read, every word counted once more than it occurs (Laplace). As either
 * strand may be read, a word counts for its reverse complement too.
 *
 * <p>Reference: [1] R. Sandberg et al.: Capturing whole-genome characteristics in short sequences using a naïve Bayesian
 * classifier, Genome Research 11, 2001.
 */
public final class Composition {
    private final int word;
    private final double[][] logProbability; // species, word

    /**
     * @param genomes to count words in, one of each species
     * @param word bases of a word (k), 1 to 8
     */
    public Composition(List<Genome> genomes, int word) {
        if (word < 1 || word > 8) {
            throw new IllegalArgumentException("words of " + word);
        }
        this.word = word;
        this.logProbability =
                genomes.stream().map(genome -> logProbabilities(genome, word)).toArray(double[][]::new);
    }

    private static double[] logProbabilities(Genome genome, int word) {
        double[] counts = new double[1 << (2 * word)];
        Arrays.fill(counts, 1);
        for (Contig contig : genome.contigs()) {
            for (Contig.Stretch stretch : contig.knownStretches(SpeciesSequences.CONTIG)) {
                int[] bases = new int[stretch.length()];
                contig.read(stretch.from(), bases.length, bases, 0);
                count(bases, word, counts);
                Bases.reverseComplement(bases, 0, bases.length);
                count(bases, word, counts);
            }
        }
        double total = Arrays.stream(counts).sum();
        return Arrays.stream(counts).map(count -> Math.log(count / total)).toArray();
    }

    /** Adds one for each word that begins somewhere in {@code bases}. */
    private static void count(int[] bases, int word, double[] counts) {
        int mask = counts.length - 1;
        int at = 0;
        for (int i = 0; i < bases.length; i++) {
            at = (at << 2 | bases[i]) & mask;
            if (i >= word - 1) {
                counts[at]++;
            }
        }
    }

    /** The likeliest species, as its number. */
    public int classify(int[] bases) {
        double[] counts = new double[1 << (2 * word)];
        count(bases, word, counts);
        int best = 0;
        double greatest = Double.NEGATIVE_INFINITY;
        for (int species = 0; species < logProbability.length; species++) {
            double score = 0;
            for (int w = 0; w < counts.length; w++) {
                score += counts[w] * logProbability[species][w];
            }
            if (score > greatest) {
                greatest = score;
                best = species;
            }
        }
        return best;
    }

    /** How many of the first {@code batches} batches' sequences it classifies rightly. */
    public int right(SpeciesSequences sequences, int batches) {
        int right = 0;
        for (int i = 0; i < batches; i++) {
            for (SpeciesSequences.Sample sample : sequences.samples(i)) {
                right += classify(sample.bases()) == sample.species() ? 1 : 0;
            }
        }
        return right;
    }
}
