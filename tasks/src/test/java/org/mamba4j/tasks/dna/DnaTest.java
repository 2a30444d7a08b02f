package org.mamba4j.tasks.dna;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.SharedData;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;

/** Genomes from files, and what is made of them. */
class DnaTest {
    @TempDir
    Path folder;

    private Path write(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    private static List<Integer> bases(Contig contig) {
        int[] all = new int[contig.length()];
        contig.read(0, all.length, all, 0);
        return Arrays.stream(all).boxed().toList();
    }

    @Test
    void readsFasta() throws IOException {
        List<Contig> contigs = Fasta.read(write("a.fa", ">one a chromosome\nACGT\nacgtn\r\n\n>empty\n>two\nRYU"));
        assertThat(contigs).extracting(Contig::name).containsExactly("one", "two");
        assertThat(bases(contigs.get(0))).containsExactly(0, 1, 2, 3, 0, 1, 2, 3, 4);
        assertThat(bases(contigs.get(1))).containsExactly(4, 4, 3);
    }

    private static byte[] zipped(String text) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
            out.write(text.getBytes(StandardCharsets.US_ASCII));
        }
        return bytes.toByteArray();
    }

    @Test
    void readsGzipWhateverTheNameAndRefusesAPartOfIt() throws IOException {
        byte[] whole = zipped(">x\n" + "ACGTTGCA".repeat(1000));
        Path file = Files.write(folder.resolve("x.fa"), whole);
        assertThat(Fasta.read(file).getFirst().length()).isEqualTo(8000);
        Path cut = Files.write(folder.resolve("cut.fa.gz"), Arrays.copyOf(whole, whole.length - 9));
        assertThatThrownBy(() -> Fasta.read(cut))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("cut.fa.gz")
                .hasMessageContaining("fetch it again");
    }

    @Test
    void saysWhatIsWrongWithAFile() throws IOException {
        Path noHeader = write("n.fa", "ACGT\n");
        Path letter = write("l.fa", ">x\nACGT\nACXT\n");
        Path empty = write("e.fa", "");
        assertThatThrownBy(() -> Fasta.read(noHeader)).hasMessageContaining("line 1 stands before any line with '>'");
        assertThatThrownBy(() -> Fasta.read(letter)).hasMessageContaining("line 3 has the byte 88 ('X')");
        assertThatThrownBy(() -> Fasta.read(empty))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no base");
        assertThatThrownBy(() -> Fasta.read(folder.resolve("none.fa"))).isInstanceOf(UserError.class);
        assertThatThrownBy(() -> Genome.readAll(folder, 1_000)).isInstanceOf(UserError.class);
    }

    @Test
    void theOtherStrandOfTheOtherStrandIsTheFirst() {
        int[] bases = {0, 0, 1, 4, 2};
        Bases.reverseComplement(bases, 0, 5);
        assertThat(bases).containsExactly(1, 4, 2, 3, 3); // AACNG, CNGTT
        Bases.reverseComplement(bases, 0, 5);
        assertThat(bases).containsExactly(0, 0, 1, 4, 2);
    }

    private static Contig random(String name, int length, double gc, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] bases = new byte[length];
        for (int i = 0; i < length; i++) {
            boolean strong = random.nextDouble() < gc;
            bases[i] = (byte) (strong ? (random.nextBoolean() ? 1 : 2) : (random.nextBoolean() ? 0 : 3));
        }
        return new Contig(name, bases);
    }

    @Test
    void holdsOutAContigOrTheEndOfTheOnlyOne() {
        Genome several =
                new Genome("s", List.of(random("a", 600, 0.5, 1), random("b", 140, 0.5, 2), random("c", 260, 0.5, 3)));
        assertThat(several.split().test().contigs()).extracting(Contig::name).containsExactly("b");
        assertThat(several.split().train().contigs()).extracting(Contig::name).containsExactly("a", "c");

        Contig only = random("only", 1000, 0.5, 4);
        Genome.Split cut = new Genome("o", List.of(only, random("plasmid", 5, 0.5, 5))).split();
        assertThat(cut.test().contigs()).extracting(Contig::name).containsExactly("only:851-1000");
        assertThat(cut.train().length()).isEqualTo(855);
        assertThat(cut.test().contigs().getFirst().at(0)).isEqualTo(only.at(850));
    }

    private static List<Genome> twoSpecies(long seed) {
        int length = SpeciesSequences.CONTIG + 3000;
        return List.of(
                new Genome("poor", List.of(random("p", length, 0.35, seed))),
                new Genome("rich", List.of(random("r", length, 0.6, seed + 1), random("tiny", 50, 0.6, seed))));
    }

    @Test
    void drawsWindowsOfEitherStrandAndTheSameOnesAgain() {
        Contig contig = random("c", 5000, 0.5, 9);
        BatchSource source = DnaWindows.training(List.of(new Genome("g", List.of(contig))), 40, 16, 3);
        Batch batch = source.batch(7);
        assertThat(batch.inputs())
                .isEqualTo(source.batch(7).inputs())
                .isNotEqualTo(source.batch(8).inputs());
        String forward = text(bases(contig).stream().mapToInt(Integer::intValue).toArray());
        int[] other = bases(contig).stream().mapToInt(Integer::intValue).toArray();
        Bases.reverseComplement(other, 0, other.length);
        String backward = text(other);
        int ahead = 0;
        for (int row = 0; row < 16; row++) {
            int[] window = Arrays.copyOfRange(batch.inputs(), row * 40, row * 40 + 41 - 1);
            assertThat(Arrays.copyOfRange(batch.targets(), row * 40, row * 40 + 39))
                    .isEqualTo(Arrays.copyOfRange(window, 1, 40));
            String read = text(window);
            assertThat(forward.contains(read) || backward.contains(read)).isTrue();
            ahead += forward.contains(read) ? 1 : 0;
        }
        assertThat(ahead).isBetween(1, 15);
    }

    /** Batches that share windows would be learnt by heart. */
    @Test
    void neighbouringBatchesAndSeedsShareNothing() {
        List<Genome> genomes = List.of(new Genome("g", List.of(random("c", 100_000, 0.5, 9))));
        Set<String> windows = new HashSet<>();
        for (long seed = 1; seed <= 2; seed++) {
            BatchSource source = DnaWindows.training(genomes, 30, 16, seed);
            for (int i = 0; i < 10; i++) {
                int[] inputs = source.batch(i).inputs();
                for (int row = 0; row < 16; row++) {
                    windows.add(text(Arrays.copyOfRange(inputs, row * 30, (row + 1) * 30)));
                }
            }
        }
        assertThat(windows).hasSizeGreaterThan(2 * 160 - 5);
    }

    private static String text(int[] bases) {
        StringBuilder text = new StringBuilder();
        Arrays.stream(bases).forEach(base -> text.append("ACGTN".charAt(base)));
        return text.toString();
    }

    @Test
    void asksForTheSameBasesAtEveryLength() {
        byte[] bases = new byte[70];
        Arrays.fill(bases, 10, 13, (byte) Bases.N);
        List<Genome> genomes = List.of(new Genome("g", List.of(new Contig("c", bases))));
        for (int length : new int[] {8, 16, 32}) {
            List<Batch> batches = DnaWindows.heldOut(genomes, length, 3, 32, Integer.MAX_VALUE);
            double asked = 0;
            for (Batch batch : batches) {
                for (float weight : batch.weights()) {
                    asked += weight;
                }
            }
            assertThat(asked).isEqualTo(64 - 3);
        }
        assertThatThrownBy(() -> DnaWindows.heldOut(genomes, 128, 1, 128, 9)).isInstanceOf(UserError.class);
    }

    @Test
    void asksForTheSpeciesAtTheEnd() {
        SpeciesSequences source = new SpeciesSequences(twoSpecies(1), 64, 50, 0.5, 11);
        Batch batch = source.batch(3);
        assertThat(batch.length()).isEqualTo(65);
        double text = 0;
        double answer = 0;
        int rich = 0;
        for (int row = 0; row < 50; row++) {
            int last = row * 65 + 64;
            assertThat(batch.inputs()[last]).isEqualTo(Bases.SPECIES);
            int species = batch.targets()[last] - Bases.FIRST_SPECIES;
            assertThat(species).isBetween(0, 1);
            rich += species;
            answer += batch.weights()[last];
            for (int i = last - 64; i < last; i++) {
                assertThat(batch.inputs()[i]).isBetween(0, 3);
                text += batch.weights()[i];
            }
        }
        assertThat(answer).isBetween(0.9999, 1.0001);
        assertThat(text).isBetween(0.4999, 0.5001);
        assertThat(rich).isBetween(10, 40);
    }

    @Test
    void readsOverNoUnknownBase() {
        byte[] bases = new byte[3 * SpeciesSequences.CONTIG];
        for (int i = 0; i < bases.length; i += SpeciesSequences.CONTIG + 7) {
            bases[i] = Bases.N;
        }
        Genome gaps = new Genome("gaps", List.of(new Contig("g", bases)));
        SpeciesSequences source =
                new SpeciesSequences(List.of(gaps, twoSpecies(1).getFirst()), SpeciesSequences.CONTIG, 20, 0, 5);
        assertThat(source.samples(0))
                .allSatisfy(sample -> assertThat(sample.bases()).doesNotContain(Bases.N));
        Genome none = new Genome("none", List.of(new Contig("g", new byte[100])));
        assertThatThrownBy(() -> new SpeciesSequences(List.of(gaps, none), 10, 1, 0, 1))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("none");
    }

    @Test
    void compositionTellsWhatDiffersInCompositionAndNothingElse() {
        List<Genome> train = twoSpecies(1);
        SpeciesSequences asked = new SpeciesSequences(twoSpecies(100), 256, 50, 0, 17);
        assertThat(new Composition(train, 1).right(asked, 2)).isGreaterThan(95);
        Genome same = new Genome("same", List.of(random("s", SpeciesSequences.CONTIG + 10, 0.35, 77)));
        List<Genome> alike = List.of(train.getFirst(), same);
        SpeciesSequences hopeless = new SpeciesSequences(
                List.of(twoSpecies(200).getFirst(), twoSpecies(300).getFirst()), 256, 100, 0, 17);
        assertThat(new Composition(alike, 1).right(hopeless, 2)).isBetween(60, 140);
    }

    @Test
    void readsThePublishedGenomes() {
        List<Genome> genomes = Genome.readAll(SharedData.require("data/dna"), 500_000);
        assertThat(genomes)
                .extracting(Genome::species)
                .containsExactly("A.thaliana", "C.elegans", "D.melanogaster", "E.coli_K12");
        assertThat(genomes).extracting(Genome::length).containsExactly(1_196_674L, 1_002_861L, 1_375_477L, 4_641_652L);
        assertThat(genomes.get(3).split().test().length()).isEqualTo(696_247);
    }
}
