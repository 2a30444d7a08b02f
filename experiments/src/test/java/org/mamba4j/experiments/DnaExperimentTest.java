package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;

class DnaExperimentTest {
    @TempDir
    private Path folder = Path.of("");

    /** Three contigs, in which a base is often the one before or, in the other species, its complement. */
    private void write(String species, boolean repeats, long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        StringBuilder text = new StringBuilder();
        for (int length : new int[] {30_000, 20_000, 17_000}) {
            text.append(">contig").append(length);
            int last = 0;
            for (int i = 0; i < length; i++) {
                text.append(i % 60 == 0 ? "\n" : "");
                int likely = repeats ? last : 3 - last;
                last = random.nextDouble() < 0.8 ? likely : random.nextInt(4);
                text.append("ACGT".charAt(last));
            }
            text.append('\n');
        }
        Path file = folder.resolve("data").resolve("dna").resolve(species + ".fa");
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    @Test
    void aMambaReadsDnaInSeconds() throws IOException {
        write("runs", true, 1);
        write("pairs", false, 2);
        Smoke smoke = new Smoke(new DnaExperiment(), folder.resolve("out"), folder.resolve("data"));
        ExperimentRun.Outcome outcome = smoke.run();
        assertThat(outcome.left()).isEmpty();

        double bits = outcome.results().values("Mamba", "context 2^7", "bits per base")[0];
        assertThat(bits).isBetween(0.84, 1.9); // 2 is a guess, 0.85 the source's own entropy
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
    void saysWhatIsMissing() {
        Smoke smoke = new Smoke(new DnaExperiment(), folder.resolve("out"), folder.resolve("nowhere"));
        assertThatThrownBy(smoke::run)
                .isInstanceOf(UserError.class)
                .hasMessageContaining("nowhere")
                .hasMessageContaining("FASTA");
    }
}
