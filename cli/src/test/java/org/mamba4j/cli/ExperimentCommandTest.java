package org.mamba4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** As somebody runs it who has just cloned the project, without any data; what comes out is asked in the experiments' own tests. */
class ExperimentCommandTest {
    @ParameterizedTest
    @CsvSource({
        "selective-copying, Mamba + S6, published %",
        "induction-heads, Mamba, published",
        "scaling, LSTM, operations",
        "dna, ^Mamba context, held-out contigs",
        "audio, real, inception score",
        "ablations, S6, published",
        "efficiency, FFT convolution, milliseconds",
        "memmamba-tables, Mamba, Pass key"
    })
    void runsWithoutDataAndLeavesAPage(String name, String model, String shown, @TempDir Path folder) {
        Cli run = Cli.run(
                "experiment", name, "--scale", "smoke", "--steps", "1", "--model", model, "--out", folder.toString());
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).containsSubsequence("scale smoke", "projected time: ", "[1/");
        assertThat(folder.resolve("results.json")).content().contains("\"experiment\": \"" + name + "\"");
        assertThat(folder.resolve("tables.md")).content().contains(shown).doesNotContain("NaN");
        assertThat(folder.resolve("index.html"))
                .content()
                .contains("<table>", shown, "mamba4j experiment " + name, "left to run: ")
                .doesNotContain("{{");

        Cli again = Cli.run(
                "experiment", name, "--scale", "smoke", "--steps", "1", "--out", folder.toString(), "--report-only");
        assertThat(again.code()).isZero();
        assertThat(again.out()).doesNotContain("projected time", "0 done before");
    }
}
