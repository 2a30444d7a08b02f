package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.data.Batch;
import org.mamba4j.data.LengthCourse;

class DnaExperimentTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void aMambaReadsDnaInSeconds() {
        ExperimentRun.Outcome outcome = new Smoke(new DnaExperiment(), folder.resolve("out")).run();
        assertThat(outcome.left()).isEmpty();

        double bits = outcome.results().values("Mamba", "context 2^7", "bits per base")[0];
        assertThat(bits).isBetween(0.84, 1.9); // 2 is a guess, 0.85 the source's own entropy
        // The same bases by blocks of equal size, and those that have half of their window before them.
        double[] blocks = IntStream.range(0, 32)
                .mapToDouble(i -> outcome.results().values("Mamba", "context 2^7", "bits per base, block " + i)[0])
                .toArray();
        assertThat(outcome.results().values("Mamba", "context 2^7", "bits per base, block 32"))
                .isEmpty();
        assertThat(Arrays.stream(blocks).average().orElse(0)).isCloseTo(bits, within(1e-5));
        assertThat(outcome.results().values("Mamba", "context 2^7", DnaLosses.SETTLED)[0])
                .isBetween(0.84, bits + 0.02);
        double right = Arrays.stream(outcome.results().values("Mamba", "species 2^7", "sequences right"))
                .sum();
        double asked = Arrays.stream(outcome.results().values("Mamba", "species 2^7", "sequences asked"))
                .sum();
        assertThat(right / asked).isBetween(0.7, 1.0); // half is a guess
        assertThat(outcome.results().values("frequencies of 1 base", "species 2^7", "sequences right")[0])
                .isLessThan(0.7 * asked); // alike in single bases
        assertThat(outcome.results().values("frequencies of 2 bases", "species 2^7", "sequences right")[0])
                .isGreaterThan(0.95 * asked);
        assertThat(folder.resolve("out").resolve("tables.md")).content().contains("| Mamba |", "species told apart");
    }

    @Test
    void theLengthDoublesFromTheShortestInTheFirstHalfOfTheSteps() {
        LengthCourse course = DnaExperiment.course(10, 13, 1 << 17, 1200);
        assertThat(course.phases())
                .containsExactly(
                        new LengthCourse.Phase(0, 1 << 10, 128),
                        new LengthCourse.Phase(200, 1 << 11, 64),
                        new LengthCourse.Phase(400, 1 << 12, 32),
                        new LengthCourse.Phase(600, 1 << 13, 16));
        assertThat(DnaExperiment.course(10, 10, 1 << 17, 1200)).isEqualTo(LengthCourse.constant(1 << 10, 128));
        assertThat(DnaExperiment.course(10, 17, 1 << 17, 1).at(1).length()).isEqualTo(1 << 17);
        for (int power = 10; power <= 17; power++) {
            LengthCourse each = DnaExperiment.course(10, power, 1 << 17, 1200);
            assertThat(each.phases())
                    .hasSize(power - 9)
                    .allSatisfy(
                            phase -> assertThat(phase.length() * phase.rows()).isEqualTo(1 << 17));
            assertThat(each.at(0).length()).isEqualTo(1 << 10);
            assertThat(each.at(600).length()).isEqualTo(1 << power);
            assertThat(each.at(1199).rows()).isEqualTo(1 << (17 - power));
        }
    }

    @Test
    void everyFamilyBeginsWithShortWindowsAndSaysSo() {
        SplittableRandom random = new SplittableRandom(1);
        StringBuilder genome = new StringBuilder();
        for (int length : new int[] {500_000, 80_000}) {
            genome.append(">contig").append(length).append('\n');
            random.ints(length, 0, 4).forEach(base -> genome.append("ACGT".charAt(base)));
            genome.append('\n');
        }
        for (String species : new String[] {"one", "other"}) {
            Path file = folder.resolve("dna").resolve(species + ".fa");
            AtomicFile.makeFolderOf(file);
            AtomicFile.writeString(file, genome.toString());
        }
        Setup setup = new Setup(Scale.SMALL, "cpu", List.of(1L), folder, 0);
        List<TrainedPart> parts = new DnaExperiment()
                .parts(setup).stream()
                        .filter(part ->
                                part instanceof TrainedPart && part.setting().startsWith("context"))
                        .map(TrainedPart.class::cast)
                        .toList();
        assertThat(parts.stream().map(TrainedPart::model).distinct())
                .containsExactlyInAnyOrder("Mamba", "Transformer++", "Hyena", "MemMamba");
        for (TrainedPart part : parts) {
            int power = Integer.parseInt(part.setting().substring("context 2^".length()));
            for (int step = 0; step < 300; step += 25) {
                Batch batch = part.source().batch(step);
                int doubled = Math.min(power - 8, step * (power - 8) / 150);
                assertThat(batch.length())
                        .as("%s, step %d", part.setting(), step)
                        .isEqualTo(1 << (8 + doubled));
                assertThat(batch.rows() * batch.length()).isEqualTo(1 << 13);
            }
            assertThat(part.recipe().contains("firstBatch")).isEqualTo(power > 8);
        }
    }

    @Test
    void aLongerContextIsComparedBlockByBlock() {
        List<Result> rows = new ArrayList<>();
        TrainedPart.Figures[] figures = new TrainedPart.Figures[2];
        for (int seed = 1; seed <= 2; seed++) {
            int s = seed;
            figures[seed - 1] = (setting, metric, value, seconds) ->
                    rows.add(new Result("Mamba", setting, s, metric, value, seconds, 10));
        }
        for (TrainedPart.Figures one : figures) {
            new DnaLosses(List.of(1.9, 1.5, 1.7), List.of(1.8, 1.4), 1.7).tell("context 2^8", 1, one);
            new DnaLosses(List.of(1.8, 1.4, 1.6), List.of(1.8, 1.3), 1.6).tell("context 2^10", 1, one);
        }
        ResultTable table = DnaLosses.table(
                new Results(rows), List.of(8, 10, 12), List.of("context 2^8", "context 2^10", "context 2^12"));
        assertThat(table.columns()).containsExactly("model", "bases", "2^8", "2^10", "2^12");
        assertThat(table.rows())
                .containsExactly(
                        List.of("Mamba", "all", "1.7000", "-0.1000 ± 0.0000", ""),
                        // Student's 97.5 % quantile of one degree of freedom is 12.706; the blocks' changes are 0 and
                        // -0.1.
                        List.of("Mamba", "half of each context seen", "1.6000", "-0.0500 ± 0.6353", ""));
    }

    @Test
    void saysWhatIsMissing() {
        Smoke smoke = new Smoke(new DnaExperiment(), folder.resolve("out"), folder.resolve("nowhere"));
        assertThatThrownBy(smoke::run)
                .isInstanceOf(UserError.class)
                .hasMessageContaining("nowhere")
                .hasMessageContaining("FASTA");
    }
}
