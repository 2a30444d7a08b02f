package org.mamba4j.tasks.audio;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Draws;

/**
 * Spoken digits for a language model of sound: first the token of the digit, then sample by sample the {@link MuLaw} steps
 * of a recording, then {@link #END}. So a model says a digit when it is given its token and goes on to the end.
 *
 * <p>A voice begins late and lasts for thousands of samples, so the digit is said again: its token stands at place 0 and at
 * every {@value #PERIOD}th from there on, between samples. It is put there by whoever makes the sequence, in training and in
 * speaking alike, and nobody is asked for it.
 *
 * <p>In some sequences {@link #NO_DIGIT} stands wherever the digit's token would ({@link #withoutDigitIn}), so that a model
 * learns as well what anybody may say, and what it says can be guided away from that (torch's {@code BatchDrawing}).
 *
 * <p>Recordings begin as they are. One voice of six begins late, so cutting what lies more than 10 ms before the first sample
 * of 2 % of the peak was tried: it would save 3 % of the places, 10 % of that one's, and take more from digits that begin
 * softly (six, five) than from others; the judge did not gain ({@link DigitClassifier}: 97.6 instead of 98.2 % of 300
 * recordings, means of three seeds).
 *
 * <p>A recording longer than the batch is cut off, before its end; after a shorter one comes padding that counts nothing.
 */
public final class DigitSequences implements BatchSource {
    /** Token of the digit 0; the others follow. */
    public static final int FIRST_DIGIT = MuLaw.STEPS;

    /** Token after the last sample. */
    public static final int END = FIRST_DIGIT + 10;

    /** Token in the place of a digit's where none is asked for. */
    public static final int NO_DIGIT = END + 1;

    /**
     * Places from one token of the digit to the next: a multiple of 16, so that in a model that pools 4 · 4 places it always
     * stands at the same one of a pool, and only 4 times that, so that a convolution of 4 over pools always sees one.
     */
    public static final int PERIOD = 64;

    /** Tokens in all, rounded up to a multiple of 16, as matrix products like it. */
    public static final int VOCAB_SIZE = 272;

    private final List<Recording> recordings;
    private final int length;
    private final int rows;
    private final long seed;
    private final Variety variety;

    /**
     * What a recording does not decide.
     *
     * @param speeds greatest share by which it is faster or slower
     * @param withoutDigit share of sequences that have no digit
     */
    private record Variety(double speeds, double withoutDigit) {}

    /**
     * Endless batches of recordings drawn at random.
     *
     * @param length tokens of a sequence (L)
     * @param rows recordings of a batch (B)
     * @throws UserError if there are no recordings
     */
    public DigitSequences(List<Recording> recordings, int length, int rows, long seed) {
        this(recordings, length, rows, seed, new Variety(0, 0));
        if (recordings.isEmpty()) {
            throw new UserError("there are no recordings to learn from");
        }
    }

    private DigitSequences(List<Recording> recordings, int length, int rows, long seed, Variety variety) {
        this.recordings = List.copyOf(recordings);
        this.length = length;
        this.rows = rows;
        this.seed = seed;
        this.variety = variety;
    }

    /**
     * The same, each recording at a speed of its own every time: a few speakers become many.
     *
     * @param most greatest share by which it is faster or slower, in [0, 1)
     */
    public DigitSequences atOtherSpeeds(double most) {
        return new DigitSequences(recordings, length, rows, seed, new Variety(most, variety.withoutDigit()));
    }

    /**
     * The same, some sequences with {@link #NO_DIGIT} instead of the digit.
     *
     * @param share probability of that, for each sequence by itself, in [0, 1]
     */
    public DigitSequences withoutDigitIn(double share) {
        return new DigitSequences(recordings, length, rows, seed, new Variety(variety.speeds(), share));
    }

    @Override
    public Batch batch(long index) {
        SplittableRandom random = Draws.of(seed, index);
        Recording[] drawn = new Recording[rows];
        Arrays.setAll(drawn, row -> recordings.get(random.nextInt(recordings.size())));
        double speeds = variety.speeds();
        if (speeds > 0) {
            Arrays.setAll(drawn, row -> drawn[row].faster(1 + random.nextDouble(-speeds, speeds)));
        }
        int[] said = digits(List.of(drawn));
        if (variety.withoutDigit() > 0) {
            Arrays.setAll(said, row -> random.nextDouble() < variety.withoutDigit() ? NO_DIGIT : said[row]);
        }
        return batch(List.of(drawn), said, length);
    }

    /** A batch of given recordings; each sample that is asked for has the same weight, the sum of weights is 1. */
    public static Batch batch(List<Recording> recordings, int length) {
        return batch(recordings, digits(recordings), length);
    }

    /** The same of one who is not told which digits they are: {@link #NO_DIGIT} stands in all places of theirs. */
    public static Batch batchWithoutDigits(List<Recording> recordings, int length) {
        int[] said = new int[recordings.size()];
        Arrays.fill(said, NO_DIGIT);
        return batch(recordings, said, length);
    }

    private static int[] digits(List<Recording> recordings) {
        return recordings.stream()
                .mapToInt(recording -> digit(recording.digit()))
                .toArray();
    }

    /** @param said token in the digit's places, of each recording */
    private static Batch batch(List<Recording> recordings, int[] said, int length) {
        int rows = recordings.size();
        int[] inputs = new int[rows * length];
        int[] targets = new int[inputs.length];
        float[] weights = new float[inputs.length];
        int asked = 0;
        for (Recording recording : recordings) {
            asked += asked(recording, length);
        }
        for (int row = 0; row < rows; row++) {
            int[] tokens = tokens(recordings.get(row), said[row], length + 1);
            int from = row * length;
            System.arraycopy(tokens, 0, inputs, from, length);
            System.arraycopy(tokens, 1, targets, from, length);
            int left = asked(recordings.get(row), length);
            for (int i = 0; i < length && left > 0; i++) {
                if (!isDigit(i + 1)) {
                    weights[from + i] = 1f / asked;
                    left--;
                }
            }
        }
        return Batch.weighted(rows, inputs, targets, weights);
    }

    /** The first {@code count} tokens of a sequence, padding included. */
    private static int[] tokens(Recording recording, int digit, int count) {
        int[] steps = recording.steps();
        int[] tokens = new int[count];
        int said = 0;
        for (int i = 0; i < count && said <= steps.length; i++) {
            if (isDigit(i)) {
                tokens[i] = digit;
            } else {
                tokens[i] = said < steps.length ? steps[said] : END;
                said++;
            }
        }
        return tokens;
    }

    /** The token of a digit. */
    public static int digit(int digit) {
        return FIRST_DIGIT + digit;
    }

    /** Whether the digit's token stands at {@code place} of a sequence, the first being 0. */
    public static boolean isDigit(int place) {
        return place % PERIOD == 0;
    }

    /** Tokens that may stand at all other places before the padding: samples and the end. */
    public static List<Integer> voice() {
        return IntStream.concat(IntStream.range(0, MuLaw.STEPS), IntStream.of(END))
                .boxed()
                .toList();
    }

    /** Tokens of {@code recording} that are asked for in a sequence of {@code length} tokens. */
    public static int asked(Recording recording, int length) {
        return Math.min(recording.sound().length() + 1, length - length / PERIOD);
    }

    /** The sound of a sequence, from its first token on to the end or where it stops. */
    public static Wav sound(int rate, int[] tokens) {
        float[] samples = new float[tokens.length];
        int count = 0;
        for (int i = 0; i < tokens.length && (isDigit(i) || tokens[i] < MuLaw.STEPS); i++) {
            if (!isDigit(i)) {
                samples[count++] = MuLaw.decode(tokens[i]);
            }
        }
        return new Wav(rate, Arrays.copyOf(samples, count));
    }

    @Override
    public long batchesPerEpoch() {
        return Math.ceilDiv(recordings.size(), rows);
    }

    @Override
    public int vocabSize() {
        return VOCAB_SIZE;
    }
}
