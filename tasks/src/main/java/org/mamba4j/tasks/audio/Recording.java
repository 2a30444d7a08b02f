package org.mamba4j.tasks.audio;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.mamba4j.UserError;

/**
 * Somebody says a digit.
 *
 * @param digit 0 to 9
 * @param speaker who
 * @param index which one of that speaker's recordings of that digit
 * @param sound as loud as all the others: its greatest sample is {@value #PEAK}
 */
public record Recording(int digit, String speaker, int index, Wav sound) {
    /** Recordings of an index below are for tests: the convention of the Free Spoken Digit Dataset. */
    public static final int TEST_INDICES = 5;

    private static final float PEAK = 0.9f;
    private static final Pattern NAME = Pattern.compile("(\\d)_([^_]+)_(\\d{1,6})\\.wav");

    /** Makes the sound as loud as all the others. */
    public static Recording of(int digit, String speaker, int index, Wav sound) {
        float[] samples = sound.samples();
        float greatest = 0;
        for (float sample : samples) {
            greatest = Math.max(greatest, Math.abs(sample));
        }
        for (int i = 0; i < samples.length; i++) {
            samples[i] *= greatest == 0 ? 0 : PEAK / greatest;
        }
        return new Recording(digit, speaker, index, new Wav(sound.rate(), samples));
    }

    /**
     * All recordings {@code DIGIT_SPEAKER_INDEX.wav} of a folder, in the order of their names.
     *
     * @throws UserError if there is no folder, no recording in it, one cannot be read, or their rates differ
     */
    public static List<Recording> readAll(Path folder) {
        List<Recording> all = new ArrayList<>();
        for (Path file : files(folder)) {
            Matcher name = NAME.matcher(file.getFileName().toString());
            if (name.matches()) {
                Wav sound = Wav.read(file);
                if (!all.isEmpty() && all.getFirst().sound().rate() != sound.rate()) {
                    throw new UserError(file + " has " + sound.rate() + " samples per second, the others "
                            + all.getFirst().sound().rate() + ": convert it");
                }
                all.add(of(Integer.parseInt(name.group(1)), name.group(2), Integer.parseInt(name.group(3)), sound));
            }
        }
        if (all.isEmpty()) {
            throw new UserError(
                    folder + " has no recording named DIGIT_SPEAKER_INDEX.wav: give the folder of the spoken digits");
        }
        return all;
    }

    private static List<Path> files(Path folder) {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.sorted(Comparator.comparing(
                            (Path file) -> file.getFileName().toString()))
                    .toList();
        } catch (IOException e) {
            throw new UserError(
                    "the folder of recordings " + folder + " cannot be read (" + e.getMessage()
                            + "): give one with DIGIT_SPEAKER_INDEX.wav",
                    e);
        }
    }

    /**
     * The same said in another time, and higher or lower with it, as a tape that runs at another speed.
     *
     * @param factor 1 / the time that it takes, positive; 1.1 for a tenth faster
     */
    public Recording faster(double factor) {
        float[] samples = sound.samples();
        float[] played = new float[(int) Math.max(1, Math.floor(samples.length / factor))];
        for (int i = 0; i < played.length; i++) {
            played[i] = between(samples, i * factor);
        }
        return of(digit, speaker, index, new Wav(sound.rate(), played));
    }

    /** A cubic through the four samples around a place (Catmull and Rom's). */
    private static float between(float[] samples, double place) {
        int at = (int) place;
        double t = place - at;
        double a = sample(samples, at - 1);
        double b = sample(samples, at);
        double c = sample(samples, at + 1);
        double d = sample(samples, at + 2);
        return (float) (b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))));
    }

    private static float sample(float[] samples, int i) {
        return samples[Math.clamp(i, 0, samples.length - 1)];
    }

    /** Whether it is kept for tests. */
    public boolean isForTest() {
        return index < TEST_INDICES;
    }

    /** The same speaker's voice as a model hears it: each sample as a step of {@link MuLaw}. */
    public int[] steps() {
        float[] samples = sound.samples();
        int[] steps = new int[samples.length];
        for (int i = 0; i < steps.length; i++) {
            steps[i] = MuLaw.encode(samples[i]);
        }
        return steps;
    }
}
