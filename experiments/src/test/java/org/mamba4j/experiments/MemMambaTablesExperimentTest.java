package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MemMambaTablesExperimentTest {
    /** Kinds of bytes: the perplexity of who knows nothing. */
    private static final double GUESS = 256;

    @Test
    void everyModelLearnsInSecondsAndStandsInEveryTable(@TempDir Path folder) {
        Smoke smoke = new Smoke(new MemMambaTablesExperiment(), folder);
        ExperimentRun.Outcome outcome = smoke.run();

        assertThat(outcome.left()).isEmpty();
        assertThat(outcome.missing()).isEmpty();
        Results results = outcome.results();
        assertThat(results.models()).containsExactlyInAnyOrder("MemMamba", "Mamba", "Transformer++", "GPT-NeoX");
        for (String model : results.models()) {
            for (String context : new String[] {"context 128", "context 256"}) {
                double perplexity = results.values(model, context, MemMambaTablesExperiment.PERPLEXITY)[0];
                assertThat(perplexity).as(model).isBetween(1.0, GUESS / 4);
            }
            // Seconds do not teach to find a key; what is measured is a share all the same.
            assertThat(results.values(model, "tokens 256", MemMambaTablesExperiment.KEYS)[0])
                    .as(model)
                    .isBetween(0.0, 1.0);
            assertThat(results.values(model, "documents 2", MemMambaTablesExperiment.DOCUMENTS)[0])
                    .as(model)
                    .isBetween(0.0, 1.0);
        }
        // A DeciMamba drops nothing from what is not longer than what it learnt from: it is a Mamba there.
        assertThat(results.values("Mamba", "decimated, context 256", MemMambaTablesExperiment.PERPLEXITY)[0])
                .isCloseTo(
                        results.values("Mamba", "context 256", MemMambaTablesExperiment.PERPLEXITY)[0], within(1e-4));
        assertThat(results.values("MemMamba", "notes off, context 256", MemMambaTablesExperiment.PERPLEXITY)[0])
                .isBetween(1.0, GUESS);
        assertThat(outcome.findings().tables())
                .hasSize(3)
                .allSatisfy(table -> assertThat(table.rows()).hasSize(6));
        assertThat(outcome.pictures()).hasSize(1);
        assertThat(smoke.lines.get(1)).startsWith("projected time: ");
    }
}
