package org.mamba4j.tasks.audio;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.data.Draws;

/**
 * Spoken digits for a language model of sound: first the token of the digit, then sample by sample the {@link MuLaw} steps
 * of a recording, then {@link #END}. So a model says a digit when it is given its token and goes on to the end.
 *
 * <p>A recording longer than the batch is cut off, before its end; after a shorter one comes padding that counts nothing.
 */
public final class DigitSequences implements BatchSource {
    /** Token of the digit 0; the others follow. */
    public static final int FIRST_DIGIT = MuLaw.STEPS;

    /** Token after the last sample. */
    public static final int END = FIRST_DIGIT + 10;

    /** Tokens in all, rounded up to a multiple of 16, as matrix products like it. */
    public static final int VOCAB_SIZE = 272;

    private final List<Recording> recordings;
    private final int length;
    private final int rows;
    private final long seed;
    private final double speeds;

    /**
     * Endless batches of recordings drawn at random.
     *
     * @param length tokens of a sequence (L)
     * @param rows recordings of a batch (B)
     * @throws UserError if there are no recordings
     */
    public DigitSequences(List<Recording> recordings, int length, int rows, long seed) {
        this(recordings, length, rows, seed, 0);
        if (recordings.isEmpty()) {
            throw new UserError("there are no recordings to learn from");
        }
    }

    private DigitSequences(List<Recording> recordings, int length, int rows, long seed, double speeds) {
        this.recordings = List.copyOf(recordings);
        this.length = length;
        this.rows = rows;
        this.seed = seed;
        this.speeds = speeds;
    }

    /**
     * The same, each recording at a speed of its own every time: a few speakers become many.
     *
     * @param most greatest share by which it is faster or slower, in [0, 1)
     */
    public DigitSequences atOtherSpeeds(double most) {
        return new DigitSequences(recordings, length, rows, seed, most);
    }

    @Override
    public Batch batch(long index) {
        SplittableRandom random = Draws.of(seed, index);
        Recording[] drawn = new Recording[rows];
        Arrays.setAll(drawn, row -> recordings.get(random.nextInt(recordings.size())));
        if (speeds > 0) {
            Arrays.setAll(drawn, row -> drawn[row].faster(1 + random.nextDouble(-speeds, speeds)));
        }
        return batch(List.of(drawn), length);
    }

    /** A batch of given recordings; each sample that is asked for has the same weight, the sum of weights is 1. */
    public static Batch batch(List<Recording> recordings, int length) {
        int rows = recordings.size();
        int[] inputs = new int[rows * length];
        int[] targets = new int[inputs.length];
        int asked = 0;
        for (int row = 0; row < rows; row++) {
            asked += asked(recordings.get(row), length);
        }
        float[] weights = new float[inputs.length];
        for (int row = 0; row < rows; row++) {
            Recording recording = recordings.get(row);
            int[] steps = recording.steps();
            int kept = Math.min(steps.length, length);
            int from = row * length;
            inputs[from] = FIRST_DIGIT + recording.digit();
            System.arraycopy(steps, 0, inputs, from + 1, Math.min(kept, length - 1));
            System.arraycopy(steps, 0, targets, from, kept);
            if (kept < length) {
                targets[from + kept] = END;
            }
            Arrays.fill(weights, from, from + asked(recording, length), 1f / asked);
        }
        return Batch.weighted(rows, inputs, targets, weights);
    }

    /** Tokens of {@code recording} that are asked for in a sequence of {@code length} tokens. */
    public static int asked(Recording recording, int length) {
        return Math.min(recording.sound().length() + 1, length);
    }

    /** The sound that tokens stand for, up to the first that is no sample. */
    public static Wav sound(int rate, int[] tokens) {
        int count = 0;
        while (count < tokens.length && tokens[count] < MuLaw.STEPS) {
            count++;
        }
        float[] samples = new float[count];
        for (int i = 0; i < count; i++) {
            samples[i] = MuLaw.decode(tokens[i]);
        }
        return new Wav(rate, samples);
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
