package org.mamba4j.tasks.audio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;

/** Sound from files to tokens, and who listens to it. */
class AudioTest {
    private static final int RATE = 8000;

    @TempDir
    Path folder;

    /** A tone that depends on the digit, of a random length, phase and loudness, with noise. */
    private static Recording tone(int digit, int index, long seed) {
        SplittableRandom random = new SplittableRandom(seed * 1000 + digit * 100L + index);
        float[] samples = new float[1500 + random.nextInt(2500)];
        double pitch = 200 * Math.pow(1.35, digit);
        double phase = random.nextDouble();
        double loudness = 0.1 + 0.8 * random.nextDouble();
        for (int i = 0; i < samples.length; i++) {
            double tone = Math.sin(2 * Math.PI * (pitch * i / RATE + phase));
            samples[i] = (float) (loudness * (0.8 * tone + 0.05 * random.nextGaussian()));
        }
        return Recording.of(digit, "s", index, new Wav(RATE, samples));
    }

    private static List<Recording> tones(int perDigit, long seed) {
        List<Recording> all = new ArrayList<>();
        for (int digit = 0; digit < 10; digit++) {
            for (int index = 0; index < perDigit; index++) {
                all.add(tone(digit, index, seed));
            }
        }
        return all;
    }

    @Test
    void readsWhatItWrote() {
        Path file = folder.resolve("a").resolve("x.wav");
        float[] samples = {0, 0.5f, -1, 1, -0.25f, 3, -3};
        new Wav(11_025, samples).write(file);
        Wav read = Wav.read(file);
        assertThat(read.rate()).isEqualTo(11_025);
        assertThat(read.samples()).containsExactly(0, 0.5f, -1, 32767 / 32768f, -0.25f, 32767 / 32768f, -1);
        new Wav(RATE, new float[0]).write(file);
        assertThat(Wav.read(file).length()).isZero();
    }

    @Test
    void saysWhatIsWrongWithAFile() throws IOException {
        Path file = folder.resolve("x.wav");
        new Wav(RATE, new float[100]).write(file);
        byte[] whole = Files.readAllBytes(file);
        for (int bytes = 0; bytes < whole.length; bytes++) {
            Path cut = Files.write(folder.resolve("cut.wav"), Arrays.copyOf(whole, bytes));
            assertThatThrownBy(() -> Wav.read(cut))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("cut.wav");
        }
        byte[] stereo = whole.clone();
        stereo[22] = 2;
        Path two = Files.write(folder.resolve("two.wav"), stereo);
        assertThatThrownBy(() -> Wav.read(two)).hasMessageContaining("2 channels");
        byte[] huge = whole.clone();
        Arrays.fill(huge, 40, 44, (byte) 0xFF);
        Path promises = Files.write(folder.resolve("huge.wav"), huge);
        assertThatThrownBy(() -> Wav.read(promises)).hasMessageContaining("cut off");
        assertThatThrownBy(() -> Wav.read(folder.resolve("none.wav"))).isInstanceOf(UserError.class);
        assertThatThrownBy(() -> Recording.readAll(folder))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("DIGIT_SPEAKER_INDEX.wav");
    }

    @Test
    void stepsAreFineWhereItIsSoft() {
        for (int step = 0; step < MuLaw.STEPS; step++) {
            assertThat(MuLaw.encode(MuLaw.decode(step))).isEqualTo(step);
        }
        assertThat(MuLaw.encode(-1)).isZero();
        assertThat(MuLaw.encode(1)).isEqualTo(255);
        assertThat(MuLaw.encode(7)).isEqualTo(255);
        for (double x = -1; x <= 1; x += 1e-3) {
            float back = MuLaw.decode(MuLaw.encode((float) x));
            assertThat(Math.abs(back - x)).isLessThan(0.012 * (1 / 128.0 + Math.abs(x) * 2));
        }
    }

    @Test
    void aDigitIsItsTokenItsSamplesAndAnEnd() {
        Recording recording = Recording.of(7, "s", 3, new Wav(RATE, new float[] {0.1f, -0.2f, 0.2f}));
        assertThat(recording.sound().samples()).containsExactly(new float[] {0.45f, -0.9f, 0.9f}, Offset.offset(1e-6f));
        int[] steps = recording.steps();
        Batch whole = DigitSequences.batch(List.of(recording), 5);
        assertThat(whole.inputs()).containsExactly(263, steps[0], steps[1], steps[2], DigitSequences.END);
        assertThat(whole.targets()).containsExactly(steps[0], steps[1], steps[2], DigitSequences.END, 0);
        assertThat(whole.weights()).containsExactly(0.25f, 0.25f, 0.25f, 0.25f, 0);
        Batch cut = DigitSequences.batch(List.of(recording), 2);
        assertThat(cut.inputs()).containsExactly(263, steps[0]);
        assertThat(cut.targets()).containsExactly(steps[0], steps[1]);
        Wav sound = DigitSequences.sound(RATE, new int[] {263, steps[0], steps[1], DigitSequences.END, 5});
        assertThat(sound.length()).isEqualTo(2);
        assertThat(sound.samples()[1]).isCloseTo(-0.9f, Offset.offset(0.02f));
    }

    @Test
    void aDigitIsSaidAgainAtRegularPlaces() {
        Recording recording = tone(4, 0, 3);
        int[] steps = recording.steps();
        for (int length : new int[] {1, 2, 63, 64, 65, 128, 700, steps.length, steps.length + 100}) {
            Batch batch = DigitSequences.batch(List.of(recording, recording), length);
            List<Integer> said = new ArrayList<>();
            for (int i = 0; i < length; i++) {
                boolean again = i % DigitSequences.PERIOD == 0;
                int before = Math.ceilDiv(i, DigitSequences.PERIOD); // tokens of the digit in front of this place
                int sample = i - before;
                int expected = again ? 260 : sample < steps.length ? steps[sample] : sample == steps.length ? 266 : 0;
                if (sample > steps.length) {
                    expected = 0; // padding
                }
                assertThat(batch.inputs()[length + i])
                        .as("place %d of %d", i, length)
                        .isEqualTo(expected);
                if (batch.weights()[length + i] > 0) {
                    assertThat((i + 1) % DigitSequences.PERIOD).isNotZero();
                    said.add(batch.targets()[length + i]);
                }
                if (i + 1 < length) {
                    assertThat(batch.targets()[length + i]).isEqualTo(batch.inputs()[length + i + 1]);
                }
            }
            assertThat(said).hasSize(DigitSequences.asked(recording, length));
            for (int i = 0; i < said.size(); i++) {
                assertThat(said.get(i)).isEqualTo(i < steps.length ? steps[i] : DigitSequences.END);
            }
            double weight = 0;
            for (float each : batch.weights()) {
                weight += each;
            }
            assertThat(weight).isCloseTo(1, Offset.offset(1e-4));
        }
        Batch whole = DigitSequences.batch(List.of(recording), 2 * steps.length);
        assertThat(DigitSequences.asked(recording, 2 * steps.length)).isEqualTo(steps.length + 1);
        float[] back = DigitSequences.sound(RATE, whole.inputs()).samples();
        assertThat(back).hasSize(steps.length);
        for (int i = 0; i < back.length; i++) {
            assertThat(MuLaw.encode(back[i])).isEqualTo(steps[i]);
        }
        assertThat(DigitSequences.voice()).hasSize(257).contains(0, 255, 266).doesNotContain(256, 265, 267);
    }

    @Test
    void fasterIsShorterAndHigher() {
        float[] samples = new float[1000];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = (float) Math.sin(0.2 * i);
        }
        Recording recording = Recording.of(3, "s", 1, new Wav(RATE, samples));
        assertThat(recording.faster(1).sound().samples())
                .containsExactly(recording.sound().samples(), Offset.offset(1e-6f));
        for (double factor : new double[] {0.92, 1.08}) {
            Recording played = recording.faster(factor);
            assertThat(played.digit()).isEqualTo(3);
            assertThat(played.sound().length()).isEqualTo((int) (1000 / factor));
            for (int i = 2; i < played.sound().length() - 4; i++) {
                assertThat((double) played.sound().samples()[i])
                        .isCloseTo(0.9 * Math.sin(0.2 * factor * i), Offset.offset(2e-3));
            }
        }
        assertThat(Recording.of(0, "s", 1, new Wav(RATE, new float[] {0.5f}))
                        .faster(3)
                        .sound()
                        .length())
                .isEqualTo(1);
    }

    @Test
    void everyTurnHasASpeedOfItsOwn() {
        DigitSequences plain = new DigitSequences(tones(1, 1).subList(0, 1), 300, 4, 5);
        DigitSequences varied = plain.atOtherSpeeds(0.1);
        assertThat(varied.batch(4).inputs()).isEqualTo(varied.batch(4).inputs());
        int[] inputs = varied.batch(4).inputs();
        assertThat(Arrays.copyOf(inputs, 300)).isNotEqualTo(Arrays.copyOfRange(inputs, 300, 600));
        int[] same = plain.batch(4).inputs();
        assertThat(Arrays.copyOf(same, 300)).isEqualTo(Arrays.copyOfRange(same, 300, 600));
    }

    @Test
    void someSequencesAskForNoDigit() {
        int length = 200;
        int rows = 10;
        DigitSequences told = new DigitSequences(tones(2, 1), length, rows, 5).atOtherSpeeds(0.1);
        DigitSequences some = told.withoutDigitIn(0.15);
        int without = 0;
        for (int index = 0; index < 100; index++) {
            Batch all = told.batch(index);
            Batch batch = some.batch(index);
            assertThat(some.batch(index).inputs()).isEqualTo(batch.inputs());
            assertThat(batch.weights()).isEqualTo(all.weights());
            for (int row = 0; row < rows; row++) {
                int said = batch.inputs()[row * length];
                without += said == DigitSequences.NO_DIGIT ? 1 : 0;
                for (int i = 0; i < length; i++) {
                    int place = row * length + i;
                    int expected = all.inputs()[place];
                    assertThat(batch.inputs()[place])
                            .isEqualTo(i % DigitSequences.PERIOD == 0 && said == 267 ? 267 : expected);
                    if (batch.weights()[place] > 0) {
                        assertThat(batch.targets()[place]).isEqualTo(all.targets()[place]);
                    }
                }
            }
        }
        assertThat(without).isBetween(100, 200); // 150 of 1,000 on the mean, with a deviation of 11
        assertThat(told.withoutDigitIn(0).batch(3).inputs())
                .isEqualTo(told.batch(3).inputs());

        List<Recording> two = List.of(tone(4, 0, 3), tone(5, 0, 3));
        Batch none = DigitSequences.batchWithoutDigits(two, length);
        int[] expected = DigitSequences.batch(two, length).inputs();
        for (int place = 0; place < expected.length; place++) {
            expected[place] = place % length % DigitSequences.PERIOD == 0 ? 267 : expected[place];
        }
        assertThat(none.inputs()).isEqualTo(expected);
        assertThat(none.weights()).isEqualTo(DigitSequences.batch(two, length).weights());
    }

    @Test
    void drawsTheSameBatchAgain() {
        DigitSequences source = new DigitSequences(tones(2, 1), 300, 8, 5);
        assertThat(source.batch(4).inputs()).isEqualTo(source.batch(4).inputs());
        assertThat(source.batch(4).inputs()).isNotEqualTo(source.batch(5).inputs());
        double weight = 0;
        for (float each : source.batch(4).weights()) {
            weight += each;
        }
        assertThat(weight).isBetween(0.999, 1.001);
    }

    @Test
    void transformsAsTheDefinitionSays() {
        SplittableRandom random = new SplittableRandom(1);
        int n = 32;
        double[] real = random.doubles(n).toArray();
        double[] imaginary = random.doubles(n).toArray();
        double[] re = real.clone();
        double[] im = imaginary.clone();
        MelSpectrogram.transform(re, im);
        for (int f = 0; f < n; f++) {
            double a = 0;
            double b = 0;
            for (int i = 0; i < n; i++) {
                double angle = -2 * Math.PI * f * i / n;
                a += real[i] * Math.cos(angle) - imaginary[i] * Math.sin(angle);
                b += real[i] * Math.sin(angle) + imaginary[i] * Math.cos(angle);
            }
            assertThat(re[f]).isCloseTo(a, Offset.offset(1e-10));
            assertThat(im[f]).isCloseTo(b, Offset.offset(1e-10));
        }
    }

    @Test
    void aHigherToneLiesInAHigherBand() {
        MelSpectrogram spectrogram = new MelSpectrogram(RATE, 20);
        int last = -1;
        for (int digit = 0; digit < 10; digit++) {
            float[] frame = spectrogram.of(tone(digit, 0, 3).sound().samples())[3];
            int loudest = 0;
            for (int band = 0; band < frame.length; band++) {
                loudest = frame[band] > frame[loudest] ? band : loudest;
            }
            assertThat(loudest).isGreaterThanOrEqualTo(last);
            last = loudest;
        }
        assertThat(last).isGreaterThan(12);
        assertThat(spectrogram.of(new float[0])).hasDimensions(1, 20);
    }

    @Test
    void theClassifierLearnsWhatItHearsAndIsUnsureOfNoise() {
        DigitClassifier classifier = DigitClassifier.train(tones(8, 1), 12, 1);
        List<Recording> asked = tones(4, 2);
        Hearing heard = Hearing.of(
                classifier,
                asked.stream().map(Recording::sound).toList(),
                asked.stream().map(Recording::digit).toList());
        assertThat(heard.recognised().value()).isGreaterThan(0.9);
        assertThat(heard.inceptionScore()).isBetween(6.0, 10.001);
        Hearing wrong = Hearing.of(
                classifier,
                asked.stream().map(Recording::sound).toList(),
                asked.stream().map(recording -> (recording.digit() + 3) % 10).toList());
        assertThat(wrong.recognised().value()).isLessThan(0.1);
        assertThat(classifier.probabilities(new Wav(RATE, new float[0])))
                .hasSize(10)
                .doesNotContain(Double.NaN);
    }

    @Test
    void readsAFolderOfDigits() {
        for (Recording tone : tones(2, 5)) {
            tone.sound().write(folder.resolve(tone.digit() + "_s_" + (tone.index() + 4) + ".wav"));
        }
        List<Recording> read = Recording.readAll(folder);
        assertThat(read).hasSize(20);
        assertThat(read.stream().filter(Recording::isForTest)).hasSize(10).allMatch(r -> r.index() == 4);
        int[] written = tone(0, 0, 5).steps();
        int[] back = read.getFirst().steps();
        assertThat(back).hasSameSizeAs(written);
        for (int i = 0; i < written.length; i++) {
            assertThat(Math.abs(back[i] - written[i])).isLessThanOrEqualTo(1); // a file holds 16 bits
        }
    }
}
