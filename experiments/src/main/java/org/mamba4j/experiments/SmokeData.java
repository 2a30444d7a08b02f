package org.mamba4j.experiments;

import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;
import org.mamba4j.tasks.audio.Wav;

/**
 * Data that {@link Scale#SMOKE} makes up, so that it runs where no data set lies: tiny, the same every time, and with
 * something to learn in it that a few seconds show. Only the layout is that of the real ones.
 */
public final class SmokeData {
    private static final int RATE = 8000;
    private static final int WORDS = 48;

    /** Words that may follow a word, so the perplexity of a word is this. */
    private static final int CHOICES = 3;

    private SmokeData() {}

    /**
     * Makes up what an experiment reads.
     *
     * @param out folder of the experiment; the data gets one in it
     * @return the folder of the data
     */
    public static Path write(Experiment experiment, Path out) {
        Path data = out.resolve("data");
        for (String set : experiment.dataSets()) {
            switch (set) {
                case "books" -> writeBooks(data);
                case "qa" -> writeQuestions(data.resolve("qa").resolve("xquad.en.json"));
                case "dna" -> writeGenomes(data.resolve("dna"));
                case "audio" -> writeDigits(data.resolve("audio").resolve("fsdd"));
                default -> throw new IllegalArgumentException("no data set " + set + " can be made up");
            }
        }
        return data;
    }

    private static void writeText(Path file, String text) {
        AtomicFile.makeFolderOf(file);
        AtomicFile.writeString(file, text);
    }

    private static void writeBooks(Path data) {
        writeText(data.resolve("books").resolve("train").resolve("made-up.txt"), text(60_000, 1));
        writeText(data.resolve("books").resolve("test").resolve("made-up.txt"), text(20_000, 2));
    }

    /** Words of two syllables, each followed by one of a few, in sentences. */
    private static String text(int length, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        StringBuilder text = new StringBuilder();
        int word = random.nextInt(WORDS);
        for (int i = 1; text.length() < length; i++) {
            text.append(syllable(word)).append(syllable(word / 7 + 3)).append(i % 9 == 0 ? ".\n" : " ");
            word = (5 * word + 11 * (1 + random.nextInt(CHOICES))) % WORDS;
        }
        return text.substring(0, length);
    }

    private static String syllable(int number) {
        return "" + "bdfgklmnprst".charAt(number % 12) + "aeiou".charAt(number % 5);
    }

    /** Articles of a paragraph with the question which is in it. */
    private static void writeQuestions(Path file) {
        List<JsonValue> articles = IntStream.range(0, 12)
                .<JsonValue>mapToObj(i -> object(
                        "paragraphs",
                        new JsonArray(List.of(JsonObject.builder()
                                .put("context", text(300, 100 + i) + " It was found in the year " + (1800 + i) + ".")
                                .put(
                                        "qas",
                                        new JsonArray(List.of(object("question", new JsonString("Which is it? " + i)))))
                                .build()))))
                .toList();
        writeText(file, JsonText.pretty(object("data", new JsonArray(articles))) + "\n");
    }

    private static JsonObject object(String key, JsonValue value) {
        return JsonObject.builder().put(key, value).build();
    }

    /** In one species a base is often the one before, in the other its complement: single bases tell nothing. */
    private static void writeGenomes(Path folder) {
        writeText(folder.resolve("runs.fa"), genome(true, 1));
        writeText(folder.resolve("pairs.fa"), genome(false, 2));
    }

    private static String genome(boolean repeats, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        StringBuilder text = new StringBuilder();
        for (int length : new int[] {30_000, 20_000, 17_000}) {
            text.append(">contig").append(length);
            int last = 0;
            for (int i = 0; i < length; i++) {
                text.append(i % 60 == 0 ? "\n" : "");
                int likely = repeats ? last : 3 - last;
                last = random.nextDouble() < 0.8 ? likely : random.nextInt(4);
                text.append("ACGT".charAt(last));
            }
            text.append('\n');
        }
        return text.toString();
    }

    /** A digit is a tone of its own pitch. */
    private static void writeDigits(Path folder) {
        for (int digit = 0; digit < 10; digit++) {
            for (int index = 0; index < 12; index++) {
                SplittableRandom random = new SplittableRandom(100L * digit + index);
                float[] samples = new float[350 + random.nextInt(100)];
                double pitch = 200 * Math.pow(1.35, digit);
                double phase = random.nextDouble();
                for (int i = 0; i < samples.length; i++) {
                    samples[i] = (float) (0.8 * Math.sin(2 * Math.PI * (pitch * i / RATE + phase)));
                }
                new Wav(RATE, samples).write(folder.resolve(digit + "_tone_" + index + ".wav"));
            }
        }
    }
}
