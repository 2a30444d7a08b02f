package org.mamba4j.torch.fidelity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.MemoryProbe;

class DynamicsTest {
    private static final int LENGTH = 40;
    private static final int CHANNELS = 3;
    private static final int STATES = 2;

    @Test
    void halfLivesAreThoseOfTheRecurrence() {
        Random random = new Random(3);
        float[] steps = new float[LENGTH];
        float[] b = new float[LENGTH];
        for (int t = 0; t < LENGTH; t++) {
            steps[t] = 0.05f + random.nextFloat();
            b[t] = (float) random.nextGaussian();
        }
        float a = -0.3f;
        double[] found = Survival.halfLives(steps, b, new float[] {a}, LENGTH);
        for (int t = 0; t < LENGTH; t++) {
            // One state: what is left is carried on token by token until it falls to half, straight in Δ within that
            // token.
            double left = 0;
            double expected = Double.POSITIVE_INFINITY;
            for (int j = t + 1; j < LENGTH && Double.isInfinite(expected); j++) {
                double next = left - a * steps[j];
                if (next >= Math.log(2)) {
                    expected = j - 1 - t + (Math.log(2) - left) / (next - left);
                }
                left = next;
            }
            if (Double.isInfinite(expected)) {
                assertThat(found[t]).isInfinite();
            } else {
                assertThat(found[t]).isCloseTo(expected, within(0.04 * expected));
            }
        }
    }

    @Test
    void theStateThatWasWrittenMostDecides() {
        float[] steps = new float[LENGTH];
        Arrays.fill(steps, 0.5f);
        float[] b = new float[LENGTH * 2];
        for (int t = 0; t < LENGTH; t++) {
            b[2 * t] = t % 2 == 0 ? 3 : 1;
            b[2 * t + 1] = 2;
        }
        double[] found = Survival.halfLives(steps, b, new float[] {-1, -0.1f}, LENGTH);
        assertThat(found[0]).isCloseTo(Math.log(2) / 0.5, within(0.06));
        assertThat(found[1]).isCloseTo(Math.log(2) / 0.05, within(0.6));
        assertThat(found[LENGTH - 1]).isInfinite();
    }

    @Test
    void aLayerWithoutSelectionAnswersEveryTokenAsItsKernel() {
        float[] steps = new float[LENGTH * CHANNELS];
        float[] b = new float[LENGTH * STATES];
        float[] c = new float[LENGTH * STATES];
        for (int t = 0; t < LENGTH; t++) {
            for (int d = 0; d < CHANNELS; d++) {
                steps[t * CHANNELS + d] = 0.1f * (d + 1);
            }
            b[t * STATES] = 3;
            b[t * STATES + 1] = 4;
            c[t * STATES] = 4;
            c[t * STATES + 1] = 3;
        }
        float[] a = {-1, -2, -1, -2, -1, -2};
        List<Integer> lags = Dynamics.lags(LENGTH);
        Dynamics.Layer layer = TensorScope.call(() -> Dynamics.layer(
                new MemoryProbe.Layer(
                        Tensors.zeros(1, LENGTH, 1),
                        Tensors.of(steps, 1, LENGTH, CHANNELS),
                        Tensors.of(b, 1, LENGTH, STATES),
                        Tensors.of(c, 1, LENGTH, STATES),
                        Tensors.of(a, CHANNELS, STATES),
                        List.of()),
                lags));
        for (int i = 0; i < lags.size(); i++) {
            double expected = 0;
            for (int d = 0; d < CHANNELS; d++) {
                double delta = 0.1 * (d + 1);
                expected +=
                        12 * delta * (Math.exp(-delta * lags.get(i)) + Math.exp(-2 * delta * lags.get(i))) / CHANNELS;
            }
            for (List<Double> response : List.of(
                    layer.responses().open(),
                    layer.responses().typical(),
                    layer.responses().shut(),
                    layer.responses().frozen())) {
                assertThat(response.get(i)).isCloseTo(expected, within(1e-5 * expected));
            }
            assertThat(layer.alignment().get(i)).isCloseTo(0.96, within(1e-6));
        }
        assertThat(layer.alignmentMap()).hasSize(LENGTH);
        assertThat(layer.alignmentMap().getLast()).hasSize(LENGTH).allMatch(cosine -> Math.abs(cosine - 0.96) < 1e-6);
        assertThat(layer.valve()).hasSize(LENGTH).allMatch(delta -> Math.abs(delta - 0.2) < 1e-6);
        assertThat(layer.pipe().quantile(0)).isCloseTo(0.5, within(0.1));
        assertThat(layer.tokenScales().quantile(1)).isCloseTo(10, within(3.5));
    }

    @Test
    void timesBeyondTheBinsFallInTheLastOnes() {
        TimeScales scales = TimeScales.of(new double[] {1e-9, 10, 10, Double.POSITIVE_INFINITY});
        assertThat(scales.shares().getFirst()).isEqualTo(0.25);
        assertThat(scales.shares().getLast()).isEqualTo(0.25);
        assertThat(scales.quantile(0.5)).isBetween(10.0, 10 * Math.pow(10, 1.0 / TimeScales.PER_DECADE));
    }
}
