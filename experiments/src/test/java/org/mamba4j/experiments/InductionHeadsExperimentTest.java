package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.model.LlamaConfig;

class InductionHeadsExperimentTest {
    private static final double CHANCE = 1.0 / 14;

    @Test
    void aMambaLearnsItInSecondsAndNothingRunsTwice(@TempDir Path folder) {
        Smoke smoke = new Smoke(new InductionHeadsExperiment(), folder);
        ExperimentRun.Outcome outcome = smoke.run("Mamba", "MHA-RoPE");

        for (String model : new String[] {"Mamba"}) {
            double[] accuracy = outcome.results().values(model, "2^6", InductionHeadsExperiment.ACCURACY);
            assertThat(accuracy).as(model).hasSize(1);
            assertThat(accuracy[0]).as(model).isBetween(5 * CHANCE, 1.0);
            assertThat(outcome.results().parameters(model)).isBetween(60_000L, 80_000L);
        }
        assertThat(folder.resolve("results.json")).content().contains("\"2^7\"", "\"accuracy\"", "induction-heads");
        assertThat(folder.resolve("tables.md")).content().contains("| Mamba |", "|   published |");
        assertThat(smoke.lines).anyMatch(line -> line.startsWith("projected time: "));

        smoke.lines.clear();
        assertThat(smoke.run("Mamba", "MHA-RoPE").results()).isEqualTo(outcome.results());
        assertThat(smoke.lines).containsExactly("induction-heads, scale smoke, on cpu: 2 parts, 2 done before");
    }

    /** The paper's have no layer between attentions; with one of width 1 there are as many numbers. */
    @Test
    void attentionIsAloneAndOfThePapersSize() {
        String json = String.format(Locale.ROOT, InductionHeadsExperiment.ATTENTION, "rope");
        LlamaConfig attention = (LlamaConfig) ModelRow.of("MHA-RoPE", json).config();
        assertThat(attention.hasMlp()).isFalse();
        assertThat(attention.parameterCount()).isBetween(136_500L, 137_499L);
    }
}
