package org.mamba4j.tasks.dna;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.mamba4j.UserError;

/**
 * What is known of one species.
 *
 * @param species its name: the file's, without extensions
 * @param contigs at least one
 */
public record Genome(String species, List<Contig> contigs) {
    /** Share of a genome that is held out, about. */
    private static final double HELD_OUT = 0.15;

    private static final String EXTENSIONS = "\\.(fa|fasta|fna)(\\.gz)?$";

    /** Copies {@code contigs}. */
    public Genome {
        contigs = List.copyOf(contigs);
    }

    /** Number of bases. */
    public long length() {
        return contigs.stream().mapToLong(Contig::length).sum();
    }

    /**
     * All genomes of a folder, one in each file {@code NAME.fa}, {@code .fasta} or {@code .fna}, with or without {@code
     * .gz}, in the order of their names. Small ones are left out: of a virus or an organelle there is too little to learn
     * from one part and be asked about another.
     *
     * @param least bases of the smallest one that is taken
     * @throws UserError if there is no folder, none that is large enough, or a file cannot be read
     */
    public static List<Genome> readAll(Path folder, long least) {
        List<Genome> genomes = new ArrayList<>();
        for (Path file : files(folder)) {
            Genome genome = new Genome(file.getFileName().toString().replaceFirst(EXTENSIONS, ""), Fasta.read(file));
            if (genome.length() >= least) {
                genomes.add(genome);
            }
        }
        if (genomes.isEmpty()) {
            throw new UserError(folder + " has no FASTA file (.fa, .fasta, .fna, with or without .gz) of " + least
                    + " bases or more: give the folder that the genomes are in");
        }
        return genomes;
    }

    private static List<Path> files(Path folder) {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(file -> file.toString().matches(".*" + EXTENSIONS))
                    .sorted(Comparator.comparing(file -> file.getFileName().toString()))
                    .toList();
        } catch (IOException e) {
            throw new UserError(
                    "the folder of genomes " + folder + " cannot be read (" + e.getMessage()
                            + "): give one with FASTA files",
                    e);
        }
    }

    /**
     * A genome in two, which share no base.
     *
     * @param train to learn from
     * @param test to be asked about
     */
    public record Split(Genome train, Genome test) {}

    /**
     * Holds out the contig whose length is closest to 15 % of the genome; the end of the longest one, where all the others
     * are too short to be worth it (a bacterium has but one chromosome).
     */
    public Split split() {
        double wanted = HELD_OUT * length();
        Contig longest =
                contigs.stream().max(Comparator.comparingInt(Contig::length)).orElseThrow();
        Contig closest = contigs.stream()
                .min(Comparator.comparingDouble(contig -> Math.abs(contig.length() - wanted)))
                .orElseThrow();
        List<Contig> rest = new ArrayList<>(contigs);
        if (closest != longest && closest.length() > wanted / 2) {
            rest.remove(closest);
            return new Split(new Genome(species, rest), new Genome(species, List.of(closest)));
        }
        int cut = longest.length() - (int) wanted;
        rest.set(rest.indexOf(longest), longest.part(0, cut));
        return new Split(new Genome(species, rest), new Genome(species, List.of(longest.part(cut, longest.length()))));
    }
}
