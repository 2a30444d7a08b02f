package org.mamba4j.tasks.audio;

/**
 * How strong each of some bands of pitch is over time: what an ear makes of sound.
 *
 * <p>A window of {@value #WINDOW_MILLIS} ms, Hann's, moves by {@value #HOP_MILLIS} ms; the energies of its frequencies are
 * added up in triangles that overlap by half and are equally wide on the mel scale, m = 2595 · log10(1 + f / 700), which
 * follows the steps that ears hear as equal [1]; of each sum the logarithm is taken.
 *
 * <p>Reference: [1] S. Davis, P. Mermelstein: Comparison of parametric representations for monosyllabic word recognition,
 * IEEE Trans. ASSP 28, 1980.
 */
public final class MelSpectrogram {
    private static final int WINDOW_MILLIS = 25;
    private static final int HOP_MILLIS = 10;
    private static final double LOWEST_HERTZ = 80;

    /** Energy of a window that counts as silence: far below a step of {@link MuLaw}. */
    private static final double SILENCE = 1e-4;

    private final int window;
    private final int hop;
    private final int size; // of the transform
    private final double[][] triangles; // band, frequency
    private final double[] hann;

    /**
     * @param rate samples per second, in Hz
     * @param bands number of them
     */
    public MelSpectrogram(int rate, int bands) {
        window = rate * WINDOW_MILLIS / 1000;
        hop = rate * HOP_MILLIS / 1000;
        size = Math.max(2, Integer.highestOneBit(2 * window - 1));
        hann = new double[window];
        for (int i = 0; i < window; i++) {
            hann[i] = 0.5 - 0.5 * Math.cos(2 * Math.PI * (i + 0.5) / window);
        }
        triangles = new double[bands][size / 2 + 1];
        double low = mel(LOWEST_HERTZ);
        double step = (mel(rate / 2.0) - low) / (bands + 1);
        for (int band = 0; band < bands; band++) {
            for (int f = 0; f <= size / 2; f++) {
                double position = (mel((double) f * rate / size) - low) / step - band; // 0 to 2 within the triangle
                triangles[band][f] = Math.max(0, 1 - Math.abs(position - 1));
            }
        }
    }

    private static double mel(double hertz) {
        return 2595 * Math.log10(1 + hertz / 700);
    }

    /** Number of bands. */
    public int bands() {
        return triangles.length;
    }

    /**
     * The bands' logarithms over time.
     *
     * @return (frames, bands), at least one frame: a sound shorter than the window is followed by silence
     */
    public float[][] of(float[] samples) {
        int frames = Math.max(1, 1 + (samples.length - window) / hop);
        float[][] all = new float[frames][triangles.length];
        double[] real = new double[size];
        double[] imaginary = new double[size];
        for (int frame = 0; frame < frames; frame++) {
            java.util.Arrays.fill(real, 0);
            java.util.Arrays.fill(imaginary, 0);
            for (int i = 0; i < window && frame * hop + i < samples.length; i++) {
                real[i] = samples[frame * hop + i] * hann[i];
            }
            transform(real, imaginary);
            for (int band = 0; band < triangles.length; band++) {
                double energy = 0;
                for (int f = 0; f <= size / 2; f++) {
                    energy += triangles[band][f] * (real[f] * real[f] + imaginary[f] * imaginary[f]);
                }
                all[frame][band] = (float) Math.log(energy + SILENCE);
            }
        }
        return all;
    }

    /** The discrete Fourier transform in place, by halves (Cooley and Tukey); the length is a power of 2. */
    static void transform(double[] real, double[] imaginary) {
        int n = real.length;
        for (int i = 1, j = 0; i < n; i++) { // j is i with its bits in reverse order
            int bit = n >> 1;
            for (; (j & bit) != 0; bit >>= 1) {
                j ^= bit;
            }
            j ^= bit;
            if (i < j) {
                swap(real, i, j);
                swap(imaginary, i, j);
            }
        }
        for (int half = 1; half < n; half *= 2) {
            for (int k = 0; k < half; k++) {
                double cos = Math.cos(Math.PI * k / half);
                double sin = -Math.sin(Math.PI * k / half);
                for (int i = k; i < n; i += 2 * half) {
                    int j = i + half;
                    double re = cos * real[j] - sin * imaginary[j];
                    double im = cos * imaginary[j] + sin * real[j];
                    real[j] = real[i] - re;
                    imaginary[j] = imaginary[i] - im;
                    real[i] += re;
                    imaginary[i] += im;
                }
            }
        }
    }

    private static void swap(double[] values, int i, int j) {
        double kept = values[i];
        values[i] = values[j];
        values[j] = kept;
    }
}
