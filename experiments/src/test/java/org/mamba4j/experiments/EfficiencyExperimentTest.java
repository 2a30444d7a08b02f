package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.torch.Torch;

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

    @Test
    void onlyALackOfMemoryIsAnEmptyCell() {
        assertThat(MeasuredPart.fits(() -> true)).isTrue();
        assertThat(MeasuredPart.fits(() -> {
                    throw Torch.translate(
                            "generating", new RuntimeException("CUDA out of memory. Tried to allocate 9.00 GiB"));
                }))
                .isFalse();
        assertThatThrownBy(() -> MeasuredPart.fits(() -> {
                    throw new UserError("a logit is NaN");
                }))
                .hasMessage("a logit is NaN");
    }
}
