package org.mamba4j.torch.fidelity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LayerView;

class DecayTest {
    @Test
    void influenceIsThatOfTheRecurrence() {
        int length = 24;
        int channels = 3;
        int states = 4;
        Random random = new Random(5);
        float[] steps = floats(length * channels, random, 0.3f);
        float[] b = floats(length * states, random, -1);
        float[] c = floats(length * states, random, -1);
        float[] a = floats(channels * states, random, 0.5f);
        for (int i = 0; i < a.length; i++) {
            a[i] = -a[i];
        }
        List<Integer> lags = List.of(0, 1, 2, 4, 8);
        int[] places = {8, 15, 23};
        double[] expected = new double[lags.size()];
        for (int k = 0; k < expected.length; k++) {
            for (int t : places) {
                for (int d = 0; d < channels; d++) {
                    // An impulse of 1 at t - k, carried step by step.
                    int from = t - lags.get(k);
                    double sum = 0;
                    for (int n = 0; n < states; n++) {
                        double h = steps[from * channels + d] * b[from * states + n];
                        for (int j = from + 1; j <= t; j++) {
                            h *= Math.exp(steps[j * channels + d] * a[d * states + n]);
                        }
                        sum += c[t * states + n] * h;
                    }
                    expected[k] += Math.abs(sum) / (places.length * channels);
                }
            }
        }
        float[] measured = TensorScope.call(() -> Decay.influence(
                new LayerView.Recurrence(
                        Tensors.of(steps, length, channels),
                        Tensors.of(b, length, 1, states),
                        Tensors.of(c, length, 1, states),
                        Tensors.of(a, channels, states)),
                lags,
                places));
        for (int k = 0; k < expected.length; k++) {
            assertThat((double) measured[k]).isCloseTo(expected[k], within(1e-5 * expected[0]));
        }
    }

    private static float[] floats(int count, Random random, float positiveFrom) {
        float[] all = new float[count];
        for (int i = 0; i < count; i++) {
            all[i] = positiveFrom < 0 ? (float) random.nextGaussian() : positiveFrom + random.nextFloat();
        }
        return all;
    }

    @Test
    void halfOfWhatHalvesWithEveryStepIsLeftAfterOne() {
        List<Integer> lags = List.of(0, 1, 2, 4);
        assertThat(Decay.halfLife(lags, List.of(1.0, 0.5, 0.25, 0.0625))).isCloseTo(1, within(1e-12));
        assertThat(Decay.halfLife(lags, List.of(1.0, 0.9, 0.8, 0.2))).isBetween(2.0, 4.0);
        assertThat(Decay.halfLife(lags, List.of(1.0, 1.0, 0.9, 0.6))).isInfinite();
    }

    @Test
    void theBoundIsThatOfAGaussianChannel() {
        List<Integer> lags = List.of(0, 1, 2, 4);
        // Five inputs of equal weight: each stands against four of noise.
        assertThat(Decay.bound(lags, List.of(0.3, 0.3, 0.3, 0.3), 10))
                .allSatisfy(bits -> assertThat(bits).isCloseTo(5 * Math.log(1.25) / Math.log(2), within(1e-9)));
        List<Double> falling = Decay.bound(lags, List.of(1.0, 0.5, 0.1, 0.0), 10);
        assertThat(falling).isSortedAccordingTo((x, y) -> Double.compare(y, x));
        assertThat(falling.getLast()).isZero();
        assertThat(Decay.bound(lags, List.of(1.0, 0.0, 0.0, 0.0), 10).getFirst())
                .isInfinite();
    }

    @Test
    void lagsArePowersOfTwoUpToHalfTheLength() {
        assertThat(MemoryStudy.lags(16)).containsExactly(0, 1, 2, 4, 8);
        assertThat(MemoryStudy.lags(31)).containsExactly(0, 1, 2, 4, 8);
        assertThat(IntStream.of(MemoryStudy.lags(2048).getLast()).sum()).isEqualTo(1024);
    }
}
