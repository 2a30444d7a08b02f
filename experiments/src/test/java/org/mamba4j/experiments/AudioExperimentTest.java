package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.tasks.audio.Wav;

class AudioExperimentTest {
    @TempDir
    private Path folder = Path.of("");

    @Test
    void aMambaSaysSomethingInSeconds() {
        ExperimentRun.Outcome outcome = new Smoke(new AudioExperiment(), folder.resolve("out")).run();
        assertThat(outcome.left()).isEmpty();

        for (String model : new String[] {"Mamba", "U-Net"}) {
            double bits = outcome.results().values(model, "", AudioExperiment.BITS)[0];
            assertThat(bits).as(model).isBetween(1.0, 6.8); // 8.1 is a guess
            assertThat(outcome.results().values(model, "T = 0.9", "sounds heard")[0])
                    .isEqualTo(10);
        }
        assertThat(outcome.results().values(SpokenDigits.REAL, "T = 1.0", "sounds recognised")[0])
                .isGreaterThan(0.5 * 20); // a tenth is a guess
        assertThat(outcome.results().values("Mamba", "T = 0.9", "sounds heard")[0])
                .isEqualTo(10);
        Path sound = folder.resolve("out/parts/sounds/Mamba-seed1-T0.9-7_0.wav");
        assertThat(Wav.read(sound).rate()).isEqualTo(8000);
        assertThat(folder.resolve("out").resolve("tables.md")).content().contains("| Mamba |", "inception score");
    }

    @Test
    void saysWhatIsMissing() {
        Smoke smoke = new Smoke(new AudioExperiment(), folder.resolve("out"), folder.resolve("nowhere"));
        assertThatThrownBy(smoke::run)
                .isInstanceOf(UserError.class)
                .hasMessageContaining("nowhere")
                .hasMessageContaining("DIGIT_SPEAKER_INDEX.wav");
    }
}
