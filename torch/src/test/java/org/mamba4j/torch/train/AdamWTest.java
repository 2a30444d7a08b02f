package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.Parameter;

class AdamWTest {
    private static final AdamW.Settings SETTINGS = new AdamW.Settings(0.9, 0.95, 1e-8, 0.1);

    @Test
    void equalsTheFormulaInDoubles() {
        TensorScope.run(() -> {
            // Sizes around vector widths, and one of each group.
            List<Parameter> parameters = List.of(
                    parameter("a", true, 1),
                    parameter("b", false, 1),
                    parameter("c", true, 17),
                    parameter("d", false, 64),
                    parameter("mixer.ssm.e", false, 5)); // its rate has a limit
            List<Expected> expected = parameters.stream().map(Expected::new).toList();
            Random random = new Random(5);
            try (AdamW adamW = new AdamW(parameters, SETTINGS)) {
                for (int step = 1; step <= 50; step++) {
                    double rate = 1e-2 / step;
                    adamW.zeroGradients();
                    for (int i = 0; i < parameters.size(); i++) {
                        float[] gradient = gaussian(random, expected.get(i).p.length);
                        addToGradient(parameters.get(i).tensor(), gradient);
                        expected.get(i).step(step, rate, gradient);
                    }
                    adamW.step(rate);
                }
                assertThat(adamW.steps()).isEqualTo(50);
            }
            for (int i = 0; i < parameters.size(); i++) {
                float[] actual = Tensors.toFloats(parameters.get(i).tensor());
                for (int k = 0; k < actual.length; k++) {
                    assertThat((double) actual[k]).isCloseTo(expected.get(i).p[k], within(2e-6));
                }
            }
        });
    }

    @Test
    void clippingScalesToTheNormAndReportsTheOneBefore() {
        TensorScope.run(() -> {
            List<Parameter> parameters = List.of(parameter("a", true, 3), parameter("b", false, 1));
            try (AdamW adamW = new AdamW(parameters, SETTINGS)) {
                addToGradient(parameters.get(0).tensor(), new float[] {1, 2, 2});
                addToGradient(parameters.get(1).tensor(), new float[] {4});

                assertThat(adamW.clip(0)).isCloseTo(5, within(1e-6));
                assertThat(adamW.clip(6)).isCloseTo(5, within(1e-6));
                assertThat(Tensors.toFloats(parameters.get(0).tensor().grad())).containsExactly(1, 2, 2);
                assertThat(adamW.clip(0.5)).isCloseTo(5, within(1e-6));

                assertThat(Tensors.toFloats(parameters.get(0).tensor().grad()))
                        .containsExactly(new float[] {0.1f, 0.2f, 0.2f}, within(1e-7f));
                assertThat(Tensors.toFloats(parameters.get(1).tensor().grad()))
                        .containsExactly(new float[] {0.4f}, within(1e-7f));
                assertThat(adamW.clip(0.5)).isCloseTo(0.5, within(1e-6));
            }
        });
    }

    @Test
    void aNormThatIsNoNumberIsReportedAndScalesNothing() {
        TensorScope.run(() -> {
            List<Parameter> parameters = List.of(parameter("a", true, 3));
            try (AdamW adamW = new AdamW(parameters, SETTINGS)) {
                addToGradient(parameters.get(0).tensor(), new float[] {1, Float.POSITIVE_INFINITY, 2});
                assertThat(adamW.clip(1)).isInfinite();
                addToGradient(parameters.get(0).tensor(), new float[] {0, Float.NEGATIVE_INFINITY, 0});
                assertThat(adamW.clip(1)).isNaN();
                assertThat(Tensors.toFloats(parameters.get(0).tensor().grad())[0])
                        .isEqualTo(1);
            }
        });
    }

    @Test
    void gradientsAddUpUntilTheyAreZeroed() {
        TensorScope.run(() -> {
            Parameter parameter = parameter("a", true, 2);
            try (AdamW adamW = new AdamW(List.of(parameter), SETTINGS)) {
                for (int i = 0; i < 3; i++) {
                    parameter.tensor().sum().backward();
                }
                assertThat(Tensors.toFloats(parameter.tensor().grad())).containsExactly(3, 3);
                adamW.scaleGradients(1.0 / 3);
                assertThat(Tensors.toFloats(parameter.tensor().grad())).containsExactly(1, 1);
                adamW.zeroGradients();
                assertThat(Tensors.toFloats(parameter.tensor().grad())).containsExactly(0, 0);
            }
        });
    }

    @Test
    void stepsLeaveNothingBehind() {
        TensorScope.run(() -> {
            List<Parameter> parameters = List.of(parameter("a", true, 3), parameter("b", false, 4));
            try (AdamW adamW = new AdamW(parameters, SETTINGS)) {
                for (int i = 0; i < 3; i++) {
                    step(adamW);
                }
                long before = TensorScope.liveObjects();
                for (int i = 0; i < 50; i++) {
                    step(adamW);
                }
                assertThat(TensorScope.liveObjects()).isEqualTo(before);
            }
        });
    }

    private static void step(AdamW adamW) {
        TensorScope.run(() -> {
            adamW.zeroGradients();
            adamW.clip(1);
            adamW.scaleGradients(0.5);
            adamW.step(1e-3);
        });
    }

    private static final class Expected {
        final double[] p;
        final double[] m;
        final double[] v;
        final double decay;
        final double greatestRate;

        Expected(Parameter parameter) {
            float[] start = Tensors.toFloats(parameter.tensor());
            p = new double[start.length];
            for (int i = 0; i < p.length; i++) {
                p[i] = start[i];
            }
            m = new double[p.length];
            v = new double[p.length];
            decay = parameter.decays() ? SETTINGS.weightDecay() : 0;
            greatestRate = parameter.name().contains(".ssm.") ? 1e-3 : 1;
        }

        void step(int t, double scheduled, float[] g) {
            double rate = Math.min(scheduled, greatestRate);
            for (int i = 0; i < p.length; i++) {
                p[i] -= rate * decay * p[i];
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                v[i] = 0.95 * v[i] + 0.05 * g[i] * g[i];
                p[i] -= rate * (m[i] / (1 - Math.pow(0.9, t))) / (Math.sqrt(v[i] / (1 - Math.pow(0.95, t))) + 1e-8);
            }
        }
    }

    private static Parameter parameter(String name, boolean decays, int size) {
        Tensor tensor = Tensors.of(gaussian(new Random(size), size), size);
        tensor.requires_grad_(true);
        return new Parameter(name, tensor, decays);
    }

    private static void addToGradient(Tensor tensor, float[] values) {
        NoGrad.run(() -> tensor.grad().add_(Tensors.of(values, values.length)));
    }

    private static float[] gaussian(Random random, int size) {
        List<Float> values = new ArrayList<>();
        for (int i = 0; i < size; i++) {
            values.add((float) random.nextGaussian());
        }
        float[] array = new float[size];
        for (int i = 0; i < size; i++) {
            array[i] = values.get(i);
        }
        return array;
    }
}
