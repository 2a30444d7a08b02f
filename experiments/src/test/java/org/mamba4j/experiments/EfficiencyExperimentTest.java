package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EfficiencyExperimentTest {
    @Test
    void everyKindOfMeasurementLeavesARowInItsTable(@TempDir Path folder) {
        Smoke smoke = new Smoke(new EfficiencyExperiment(), folder);
        Results results = smoke.run("Mamba", "Transformer++", "fused scan", "composed parallel scan")
                .results();
        for (String model : new String[] {"Mamba", "Transformer++"}) {
            assertThat(results.values(model, "batch 2", EfficiencyParts.RATE))
                    .as(model)
                    .isNotEmpty()
                    .doesNotContain(0.0, Double.NaN);
            assertThat(results.values(model, "train 2", EfficiencyParts.TRAINING))
                    .isNotEmpty()
                    .doesNotContain(0.0, Double.NaN);
            assertThat(results.values(model, "read 128", EfficiencyParts.LATENCY))
                    .isNotEmpty()
                    .doesNotContain(0.0, Double.NaN);
        }
        // Ours is there to be faster than what libtorch's operations make of it.
        assertThat(results.values("composed parallel scan", "2^9", EfficiencyParts.MILLISECONDS)[0])
                .isPositive();
        assertThat(folder.resolve("tables.md"))
                .content()
                .contains("| fused scan |", "composed parallel scan / fused scan", "Latency", "| Transformer++ |");
    }
}
