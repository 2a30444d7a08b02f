package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.tasks.audio.Wav;

class AudioExperimentTest {
    private static final int RATE = 8000;

    @TempDir
    private Path folder = Path.of("");

    /** A digit is a tone of its own pitch. */
    private void write(int digit, int index) {
        SplittableRandom random = new SplittableRandom(100L * digit + index);
        float[] samples = new float[350 + random.nextInt(100)];
        double pitch = 200 * Math.pow(1.35, digit);
        double phase = random.nextDouble();
        for (int i = 0; i < samples.length; i++) {
            samples[i] = (float) (0.8 * Math.sin(2 * Math.PI * (pitch * i / RATE + phase)));
        }
        new Wav(RATE, samples).write(folder.resolve("data/audio/fsdd").resolve(digit + "_tone_" + index + ".wav"));
    }

    @Test
    void aMambaSaysSomethingInSeconds() {
        for (int digit = 0; digit < 10; digit++) {
            for (int index = 0; index < 12; index++) {
                write(digit, index);
            }
        }
        Smoke smoke = new Smoke(new AudioExperiment(), folder.resolve("out"), folder.resolve("data"));
        ExperimentRun.Outcome outcome = smoke.run();
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
        assertThat(Wav.read(sound).rate()).isEqualTo(RATE);
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
