package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;

class DnaExperimentTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void aMambaReadsDnaInSeconds() {
        ExperimentRun.Outcome outcome = new Smoke(new DnaExperiment(), folder.resolve("out")).run();
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
