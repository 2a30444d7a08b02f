package org.mamba4j.experiments;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.mamba4j.tasks.Estimate;
import org.mamba4j.tasks.audio.DigitClassifier;
import org.mamba4j.tasks.audio.DigitSequences;
import org.mamba4j.tasks.audio.Hearing;
import org.mamba4j.tasks.audio.Recording;
import org.mamba4j.tasks.audio.Wav;
import org.mamba4j.torch.nn.BatchDrawing;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.train.TaskTraining;

/** The recordings of an experiment, and the judge who has heard those for training and no other sound. */
final class SpokenDigits {
    /** The row of what people said. */
    static final String REAL = "real recordings, held out";

    static final String SCORE = "inception score";
    private static final String RECOGNISED = "sounds recognised";
    private static final String HEARD = "sounds heard";

    /**
     * How digits are said.
     *
     * @param temperature of sampling; 1 is the model's own distribution
     * @param guidance how much more than by itself a model follows the digit that is asked for; 0 for no more
     */
    record Manner(double temperature, double guidance) {
        /** As results and tables have it: guidance is named where there is any. */
        String setting() {
            return guidance == 0
                    ? String.format(Locale.ROOT, "T = %.1f", temperature)
                    : String.format(Locale.ROOT, "T = %.1f, g = %.1f", temperature, guidance);
        }
    }

    /** A model's own; what people said is listed beside it. */
    static final Manner OWN = new Manner(1, 0);

    private static final List<Manner> MANNERS =
            List.of(OWN, new Manner(1, 1), new Manner(1, 2), new Manner(1, 4), new Manner(0.9, 2));

    private static final long SEED_OF_JUDGE = 1;

    private final Setup setup;
    private final List<Recording> train;
    private final List<Recording> test;
    private final Map<Long, DigitClassifier> judges = new ConcurrentHashMap<>();

    private SpokenDigits(Setup setup, List<Recording> all) {
        this.setup = setup;
        this.train = all.stream().filter(recording -> !recording.isForTest()).toList();
        List<Recording> held = all.stream().filter(Recording::isForTest).toList();
        int every = setup.by(Math.max(1, held.size() / 20), 5, 1);
        this.test = IntStream.range(0, held.size())
                .filter(i -> i % every == 0)
                .mapToObj(held::get)
                .toList();
    }

    /** Those in {@code audio/fsdd} of the data. */
    static SpokenDigits read(Setup setup) {
        Path folder = setup.data().resolve("audio").resolve("fsdd");
        return new SpokenDigits(setup, Recording.readAll(folder));
    }

    List<Recording> train() {
        return train;
    }

    List<Recording> test() {
        return test;
    }

    /** Tokens of a sequence: a recording and its digit; 12 of 13 are not longer at full scale. */
    int length() {
        return length(setup);
    }

    /** The same, before anything is read. */
    static int length(Setup setup) {
        return setup.by(448, 1024, 5120);
    }

    /** Tokens that a model says at most. */
    private int longest() {
        return setup.by(100, 1024, 5120);
    }

    private int epochs() {
        return setup.by(10, 30, 40);
    }

    private int soundsPerDigit() {
        return setup.by(1, 2, 20);
    }

    String description() {
        return train.size() + " recordings of spoken digits, to " + length() + " tokens; " + test.size()
                + " held out; asked for " + soundsPerDigit() + " of each digit; judge trained for " + epochs()
                + " epochs";
    }

    private DigitClassifier judge() {
        return judges.computeIfAbsent(SEED_OF_JUDGE, seed -> DigitClassifier.train(train, epochs(), seed));
    }

    /** The manners in which each model says its digits. */
    static List<Manner> manners(Setup setup) {
        return setup.by(List.of(OWN, new Manner(1, 2)), MANNERS, MANNERS);
    }

    /** What the judge makes of what people said. */
    Part realRecordings(long seed) {
        return new RealPart(this, seed);
    }

    private record RealPart(SpokenDigits digits, long seed) implements Part {
        @Override
        public String model() {
            return REAL;
        }

        @Override
        public String setting() {
            return "";
        }

        @Override
        public String recipe() {
            return digits.description();
        }

        @Override
        public double projectSeconds() {
            return 10;
        }

        @Override
        public List<Result> run(PartRun run) {
            List<Result> results = new ArrayList<>();
            List<Wav> sounds = digits.test.stream().map(Recording::sound).toList();
            List<Integer> meant = digits.test.stream().map(Recording::digit).toList();
            add(
                    Hearing.of(digits.judge(), sounds, meant),
                    OWN.setting(),
                    (where, metric, value, seconds) ->
                            results.add(new Result(REAL, where, seed, metric, value, seconds, 0)));
            return results;
        }
    }

    private static void add(Hearing hearing, String setting, TrainedPart.Figures figures) {
        figures.add(setting, RECOGNISED, Math.rint(hearing.recognised().value() * hearing.sounds()), 0);
        figures.add(setting, HEARD, hearing.sounds(), 0);
        figures.add(setting, SCORE, hearing.inceptionScore(), 0);
    }

    static Optional<Estimate> recognised(Results results, String model, String setting) {
        double right = Arrays.stream(results.values(model, setting, RECOGNISED)).sum();
        double heard = Arrays.stream(results.values(model, setting, HEARD)).sum();
        return heard == 0 ? Optional.empty() : Optional.of(Estimate.ofShare((int) right, (int) heard));
    }

    /** Lets a model say digits, keeps them as files, and has them judged. */
    void listen(ModelRow row, TaskTraining trained, PartRun run, TrainedPart.Figures figures, long seed) {
        List<Integer> meant =
                IntStream.range(0, 10 * soundsPerDigit()).mapToObj(i -> i % 10).toList();
        for (Manner manner : manners(setup)) {
            if (figures.has(manner.setting(), SCORE)) {
                continue;
            }
            run.pauseIfTimeIsUp();
            run.progress(1, "speaking at " + manner.setting());
            long start = System.nanoTime();
            List<Wav> sounds = speak(trained.network(), meant, longest(), manner, seed * 1000).stream()
                    .map(tokens -> DigitSequences.sound(rate(), tokens))
                    .toList();
            double seconds = (System.nanoTime() - start) * 1e-9;
            int samples = sounds.stream().mapToInt(Wav::length).sum();
            figures.add(manner.setting(), "samples generated", samples, seconds);
            write(
                    sounds,
                    meant,
                    run.folder().resolveSibling("sounds"),
                    row.name() + "-seed" + seed + "-" + manner.setting().replace(" = ", ""));
            add(Hearing.of(judge(), sounds, meant), manner.setting(), figures);
        }
    }

    /** Digits said side by side: each sequence from its first token on, as {@link DigitSequences} lays them out. */
    static List<int[]> speak(LanguageNetwork network, List<Integer> digits, int longest, Manner manner, long seed) {
        int[] first = digits.stream().mapToInt(DigitSequences::digit).toArray();
        BatchDrawing.Rules rules = new BatchDrawing.Rules(
                DigitSequences.voice(),
                DigitSequences.END,
                DigitSequences.PERIOD,
                manner.guidance(),
                DigitSequences.NO_DIGIT);
        return new BatchDrawing(network).draw(first, longest, manner.temperature(), rules, seed);
    }

    private int rate() {
        return train.getFirst().sound().rate();
    }

    private static void write(List<Wav> sounds, List<Integer> meant, Path folder, String name) {
        String safe = name.replaceAll("[^A-Za-z0-9.-]+", "_");
        for (int i = 0; i < sounds.size(); i++) {
            sounds.get(i).write(folder.resolve(safe + "-" + meant.get(i) + "_" + i / 10 + ".wav"));
        }
    }
}
