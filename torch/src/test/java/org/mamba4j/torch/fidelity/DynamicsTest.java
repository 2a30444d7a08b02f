package org.mamba4j.torch.fidelity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.torch.ComplexTensors;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LayerView;
import org.mamba4j.torch.nn.LayerView.Recurrence;

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
        double[] found = Survival.halfLives(steps, absolute(b), true, new float[] {a}, LENGTH);
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

    private static float[] absolute(float[] x) {
        float[] all = x.clone();
        for (int i = 0; i < all.length; i++) {
            all[i] = Math.abs(all[i]);
        }
        return all;
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
        double[] found = Survival.halfLives(steps, b, true, new float[] {-1, -0.1f}, LENGTH);
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
        Dynamics.Selective layer = TensorScope.call(() -> Dynamics.layer(
                new Recurrence(
                        Tensors.of(steps, LENGTH, CHANNELS),
                        Tensors.of(b, LENGTH, 1, STATES),
                        Tensors.of(c, LENGTH, 1, STATES),
                        Tensors.of(a, CHANNELS, STATES)),
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

    /** Complex modes of each channel's own, all the same for every token: as a recurrence, and as a kernel. */
    @Test
    void whatIsTheSameForAllTokensHasOneResponse() {
        SplittableRandom random = new SplittableRandom(5);
        List<Integer> lags = Dynamics.lags(LENGTH);
        TensorScope.run(() -> {
            Tensor steps =
                    Tensors.of(new float[] {0.02f, 0.1f, 0.5f}, 1, CHANNELS).expand(LENGTH, CHANNELS);
            Tensor rates = Tensors.of(floats(random, 0.1, 2), CHANNELS, STATES);
            Tensor turns = Tensors.of(floats(random, 0, 6), CHANNELS, STATES);
            Tensor b = Tensors.of(floats(random, -1, 1), 1, CHANNELS, STATES);
            Tensor c = Tensors.of(floats(random, -1, 1), 1, CHANNELS, STATES);
            Recurrence recurrence = new Recurrence(
                    steps, ComplexTensors.of(b, c), ComplexTensors.of(c, b), ComplexTensors.of(rates.neg(), turns));
            Dynamics.Selective layer = Dynamics.layer(recurrence, lags);
            Dynamics.Invariant kernel = Dynamics.layer(LayerView.ofConstant(recurrence, LENGTH), lags);
            assertThat(kernel.kernel().response()).hasSize(lags.size());
            assertThat(kernel.pipe()).isEqualTo(layer.pipe());
            assertThat(kernel.tokenScales()).isEqualTo(layer.tokenScales());
            for (int i = 0; i < lags.size(); i++) {
                double expected = kernel.kernel().response().get(i);
                assertThat(layer.responses().frozen().get(i)).isCloseTo(expected, within(1e-5));
                assertThat(layer.responses().shut().get(i)).isCloseTo(expected, within(1e-5));
            }
            assertThat(layer.hasValve()).isFalse();
            assertThat(layer.alignment()).isEmpty();
            assertThat(layer.alignmentMap()).isEmpty();
        });
    }

    @Test
    void kernelsAreSortedByReach() {
        Tensor kernel = Tensors.of(new float[] {0, 0, 0, 3, /**/ 5, 1, -1, 1, /**/ 1, -1, 1, 1}, 3, 4);
        KernelShape shape = KernelShape.of(kernel, List.of(0, 1, 2, 3, 4));
        assertThat(shape.reach()).containsExactly(0, 1, 3);
        assertThat(shape.reach(0.5)).isEqualTo(1);
        assertThat(shape.response()).containsExactly(2.0, 2.0 / 3, 2.0 / 3, 5.0 / 3);
        assertThat(shape.channels()).hasSize(3);
        assertThat(shape.places()).startsWith(0).endsWith(3).isSorted();
        assertThat(shape.channels().getFirst()).startsWith(5.0).endsWith(1.0);
    }

    private static float[] floats(SplittableRandom random, double from, double to) {
        float[] all = new float[CHANNELS * STATES];
        for (int i = 0; i < all.length; i++) {
            all[i] = (float) random.nextDouble(from, to);
        }
        return all;
    }

    @Test
    void timesBeyondTheBinsFallInTheLastOnes() {
        TimeScales scales = TimeScales.of(new double[] {1e-9, 10, 10, Double.POSITIVE_INFINITY});
        assertThat(scales.shares().getFirst()).isEqualTo(0.25);
        assertThat(scales.shares().getLast()).isEqualTo(0.25);
        assertThat(scales.quantile(0.5)).isBetween(10.0, 10 * Math.pow(10, 1.0 / TimeScales.PER_DECADE));
    }
}
