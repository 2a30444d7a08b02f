package org.mamba4j.tasks.audio;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Says which digit was said: the judge of what a model of sound says, trained on recordings of people alone and knowing
 * nothing of that model.
 *
 * <p>A recording becomes a picture of fixed size, {@link MelSpectrogram} over {@value #FRAMES} parts of its length, less
 * its own mean, so that neither speed nor loudness decides; a network with one hidden layer [1] reads it. Training shows
 * each recording with its ends cut at random and a little noise, as much as {@link MuLaw} leaves. Adam [2], by hand and in
 * plain Java: 60,000 weights need no library, and so the judge runs wherever a sound does.
 *
 * <p>References: [1] D. Rumelhart, G. Hinton, R. Williams: Learning representations by back-propagating errors, Nature
 * 323, 1986. [2] D. Kingma, J. Ba: Adam, arXiv 1412.6980.
 */
public final class DigitClassifier {
    /** Digits that there are. */
    public static final int DIGITS = 10;

    private static final int FRAMES = 24;
    private static final int BANDS = 20;
    private static final int INPUTS = FRAMES * BANDS + 1; // and the length
    private static final int HIDDEN = 128;
    private static final int BATCH = 32;
    private static final double RATE = 1e-3;

    /** Greatest share of a recording that is cut off at either end. */
    private static final double CUT = 0.08;

    /** Share of the hidden layer that sits out a step of training. */
    private static final double DROPPED = 0.3;

    private final MelSpectrogram spectrogram;
    private final Dense hidden;
    private final Dense output;

    private DigitClassifier(int rate, SplittableRandom random) {
        spectrogram = new MelSpectrogram(rate, BANDS);
        hidden = new Dense(INPUTS, HIDDEN, random);
        output = new Dense(HIDDEN, DIGITS, random);
    }

    /**
     * Trains a classifier.
     *
     * @param recordings at least one
     * @param epochs how many times it hears each
     * @param seed of initial weights, order and cuts
     */
    public static DigitClassifier train(List<Recording> recordings, int epochs, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        DigitClassifier classifier =
                new DigitClassifier(recordings.getFirst().sound().rate(), random);
        float[][][] heard = recordings.stream()
                .map(recording -> classifier.hear(recording.sound()))
                .toArray(float[][][]::new);
        int[] order = java.util.stream.IntStream.range(0, heard.length).toArray();
        long steps = (long) epochs * Math.ceilDiv(order.length, BATCH);
        long step = 0;
        for (int epoch = 0; epoch < epochs; epoch++) {
            shuffle(order, random);
            for (int from = 0; from < order.length; from += BATCH) {
                int to = Math.min(order.length, from + BATCH);
                for (int i = from; i < to; i++) {
                    float[][] frames = heard[order[i]];
                    int first = (int) (random.nextDouble() * CUT * frames.length);
                    int end = frames.length - (int) (random.nextDouble() * CUT * frames.length);
                    classifier.learn(
                            picture(frames, first, end),
                            recordings.get(order[i]).digit(),
                            1f / (to - from),
                            random);
                }
                double rate = RATE * (1 - (double) step++ / steps);
                classifier.hidden.update(rate);
                classifier.output.update(rate);
            }
        }
        return classifier;
    }

    private static void shuffle(int[] order, SplittableRandom random) {
        for (int i = order.length - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            int kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
    }

    /** The spectrogram of a sound in steps of {@link MuLaw}, as models say it. */
    private float[][] hear(Wav sound) {
        float[] samples = sound.samples();
        for (int i = 0; i < samples.length; i++) {
            samples[i] = MuLaw.decode(MuLaw.encode(samples[i]));
        }
        return spectrogram.of(samples);
    }

    /** Frames {@code first} to {@code end} (exclusive), stretched to the fixed size, mean 0 and variance 1. */
    private static float[] picture(float[][] frames, int first, int end) {
        float[] picture = new float[INPUTS];
        double scale = (double) (end - first - 1) / (FRAMES - 1);
        for (int i = 0; i < FRAMES; i++) {
            double at = first + i * scale;
            int before = Math.min((int) at, end - 1);
            int after = Math.min(before + 1, end - 1);
            float share = (float) (at - before);
            for (int band = 0; band < BANDS; band++) {
                picture[i * BANDS + band] = frames[before][band] * (1 - share) + frames[after][band] * share;
            }
        }
        int pixels = FRAMES * BANDS;
        double mean = 0;
        double squares = 0;
        for (int i = 0; i < pixels; i++) {
            mean += picture[i] / (double) pixels;
            squares += picture[i] * (double) picture[i] / pixels;
        }
        double deviation = Math.sqrt(Math.max(1e-6, squares - mean * mean));
        for (int i = 0; i < pixels; i++) {
            picture[i] = (float) ((picture[i] - mean) / deviation);
        }
        picture[pixels] = (float) Math.log((end - first) / 40.0);
        return picture;
    }

    /** Adds the gradient of one example. */
    private void learn(float[] picture, int digit, float weight, SplittableRandom random) {
        float[] sums = hidden.forward(picture);
        float[] active = new float[HIDDEN];
        boolean[] on = new boolean[HIDDEN];
        for (int i = 0; i < HIDDEN; i++) {
            on[i] = sums[i] > 0 && random.nextDouble() >= DROPPED;
            active[i] = on[i] ? (float) (sums[i] / (1 - DROPPED)) : 0;
        }
        double[] probabilities = softmax(output.forward(active));
        float[] error = new float[DIGITS];
        for (int i = 0; i < DIGITS; i++) {
            error[i] = (float) (probabilities[i] - (i == digit ? 1 : 0)) * weight;
        }
        float[] back = output.backward(active, error);
        for (int i = 0; i < HIDDEN; i++) {
            back[i] = on[i] ? (float) (back[i] / (1 - DROPPED)) : 0;
        }
        hidden.backward(picture, back);
    }

    /** How likely each digit is. */
    public double[] probabilities(Wav sound) {
        float[][] frames = hear(Recording.of(0, "", 0, sound).sound());
        float[] active = hidden.forward(picture(frames, 0, frames.length));
        for (int i = 0; i < HIDDEN; i++) {
            active[i] = Math.max(0, active[i]);
        }
        return softmax(output.forward(active));
    }

    private static double[] softmax(float[] scores) {
        double greatest = Double.NEGATIVE_INFINITY;
        for (float score : scores) {
            greatest = Math.max(greatest, score);
        }
        double[] weights = new double[scores.length];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = Math.exp(scores[i] - greatest);
        }
        double total = Arrays.stream(weights).sum();
        return Arrays.stream(weights).map(weight -> weight / total).toArray();
    }

    /** A matrix and a bias with their gradients and Adam's means. */
    private static final class Dense {
        private static final double BETA1 = 0.9;
        private static final double BETA2 = 0.999;
        private static final double DECAY = 1e-2;

        private final int in;
        private final int out;
        private final float[] weights; // (out, in + 1), the bias last
        private final float[] gradients;
        private final float[] means;
        private final float[] squares;
        private int updates;

        Dense(int in, int out, SplittableRandom random) {
            this.in = in;
            this.out = out;
            weights = new float[out * (in + 1)];
            for (int i = 0; i < weights.length; i++) {
                weights[i] = (i + 1) % (in + 1) == 0 ? 0 : (float) (random.nextGaussian() * Math.sqrt(2.0 / in));
            }
            gradients = new float[weights.length];
            means = new float[weights.length];
            squares = new float[weights.length];
        }

        float[] forward(float[] x) {
            float[] y = new float[out];
            for (int o = 0; o < out; o++) {
                int row = o * (in + 1);
                float sum = weights[row + in];
                for (int i = 0; i < in; i++) {
                    sum += weights[row + i] * x[i];
                }
                y[o] = sum;
            }
            return y;
        }

        /** Adds to the gradients; returns that of {@code x}. */
        float[] backward(float[] x, float[] error) {
            float[] back = new float[in];
            for (int o = 0; o < out; o++) {
                int row = o * (in + 1);
                float e = error[o];
                if (e == 0) {
                    continue;
                }
                for (int i = 0; i < in; i++) {
                    gradients[row + i] += e * x[i];
                    back[i] += e * weights[row + i];
                }
                gradients[row + in] += e;
            }
            return back;
        }

        void update(double rate) {
            updates++;
            float correction =
                    (float) (rate * Math.sqrt(1 - Math.pow(BETA2, updates)) / (1 - Math.pow(BETA1, updates)));
            float kept = (float) (1 - rate * DECAY);
            for (int i = 0; i < weights.length; i++) {
                float g = gradients[i];
                means[i] += (float) (1 - BETA1) * (g - means[i]);
                squares[i] += (float) (1 - BETA2) * (g * g - squares[i]);
                weights[i] = weights[i] * kept - correction * means[i] / ((float) Math.sqrt(squares[i]) + 1e-8f);
                gradients[i] = 0;
            }
        }
    }
}
