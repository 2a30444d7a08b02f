package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.tasks.audio.DigitSequences;
import org.mamba4j.tasks.audio.Recording;
import org.mamba4j.tasks.audio.Wav;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;

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
            assertThat(outcome.results().values(model, "", AudioExperiment.DIGIT_TELLS)[0])
                    .as(model)
                    .isFinite();
            assertThat(outcome.results().values(model, "T = 1.0, g = 2.0", "sounds heard")[0])
                    .isEqualTo(10);
        }
        assertThat(outcome.results().values(SpokenDigits.REAL, "T = 1.0", "sounds recognised")[0])
                .isGreaterThan(0.5 * 20); // a tenth is a guess
        Path sound = folder.resolve("out/parts/sounds/Mamba-seed1-T1.0_g2.0-7_0.wav");
        assertThat(Wav.read(sound).rate()).isEqualTo(8000);
        assertThat(folder.resolve("out").resolve("tables.md")).content().contains("| Mamba |", "inception score");
    }

    /** What is said is laid out as what is heard: a sound that a model made up, heard again, is the same sequence. */
    @Test
    void speaksInTheSequencesThatItLearnsFrom() {
        Setup smoke = new Setup(Scale.SMOKE, "cpu", List.of(1L), folder, 0);
        List<Integer> digits = List.of(7, 0, 7, 9);
        for (AudioExperiment.Row row : AudioExperiment.rows(smoke)) {
            try (LanguageNetwork network = LanguageNetwork.create(row.model().config(), MambaKernels.fused(), 3)) {
                List<int[]> spoken = SpokenDigits.speak(network, digits, 300, SpokenDigits.OWN, 5);
                assertThat(spoken).hasSameSizeAs(digits);
                for (int i = 0; i < digits.size(); i++) {
                    int[] tokens = spoken.get(i);
                    Wav sound = DigitSequences.sound(8000, tokens);
                    assertThat(sound.length()).isEqualTo(tokens.length - Math.ceilDiv(tokens.length, 64));
                    Recording heard = new Recording(digits.get(i), "model", 9, sound); // as loud as it is
                    assertThat(DigitSequences.batch(List.of(heard), tokens.length)
                                    .inputs())
                            .isEqualTo(tokens);
                }
                assertThat(spoken.get(0)).isNotEqualTo(spoken.get(2)); // the same digit, said otherwise
            }
        }
    }

    @Test
    void namesGuidanceWhereThereIsAny() {
        Setup full = new Setup(Scale.FULL, "cpu", List.of(1L), folder, 0);
        assertThat(SpokenDigits.manners(full).stream().map(SpokenDigits.Manner::setting))
                .doesNotHaveDuplicates()
                .contains("T = 1.0", "T = 1.0, g = 2.0", "T = 0.9, g = 2.0");
    }

    @Test
    void hybridsAreAsWideAndDeepAsTheOthers() {
        Setup full = new Setup(Scale.FULL, "cpu", List.of(1L), folder, 0);
        List<ComposedConfig> hybrids = AudioExperiment.rows(full).stream()
                .map(row -> row.model().config())
                .filter(config -> config instanceof ComposedConfig composed && composed.isHybrid())
                .map(ComposedConfig.class::cast)
                .toList();
        assertThat(hybrids).hasSize(4).allSatisfy(config -> {
            assertThat(config.nLayer()).isEqualTo(8);
            assertThat(config.dModel()).isEqualTo(256);
        });
        assertThat(hybrids.get(0).innerLayers()).containsExactly("s4d", "s4d", "s6", "s6", "s6", "s6", "s4d", "s4d");
        assertThat(hybrids.get(1).innerLayers()).containsExactly("s6", "s6", "s4d", "s4d", "s4d", "s4d", "s6", "s6");
        assertThat(complex(hybrids.get(0))).containsExactly(true, false);
        assertThat(complex(hybrids.get(1))).containsExactly(false, true);
        assertThat(complex(hybrids.get(2))).containsExactly(true, true);
        assertThat(complex(hybrids.get(3))).containsExactly(false, false);
        Setup small = new Setup(Scale.SMALL, "cpu", List.of(1L), folder, 0);
        assertThat(AudioExperiment.rows(small))
                .hasSize(11)
                .allSatisfy(row -> assertThat(row.model().hindrance()).isEmpty());
        // Plans name rows by how they begin.
        assertThat(AudioExperiment.rows(full).stream().map(row -> row.model().name()))
                .startsWith("Mamba", "U-Net")
                .filteredOn(name -> name.startsWith("Mamba") || name.startsWith("U-Net"))
                .hasSize(2);
    }

    /** Outside and inside. */
    private static List<Boolean> complex(ComposedConfig config) {
        return List.of(config.layer(0).isComplex(), config.layer(4).isComplex());
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
