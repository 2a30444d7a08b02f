package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.TestSeed;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** The scan in float64 against the recurrence as it is written, its gradients against differences. */
class DiagonalScanTest {
    private static final int BATCH = 2;
    private static final int CHANNELS = 3;
    private static final int MODES = 2;
    private static final double DIFFERENCE = 1e-6;

    /** What is selective, and whether numbers are complex. */
    record Kind(boolean complex, boolean ofToken, boolean readOfToken, int length) {
        int states() {
            return complex ? 2 * MODES : MODES;
        }

        int matrix(boolean token) {
            return (token ? BATCH * length : CHANNELS) * states();
        }
    }

    static Stream<Kind> kinds() {
        return Stream.of(true, false)
                .flatMap(complex -> Stream.of(
                        new Kind(complex, true, true, 1),
                        new Kind(complex, true, true, 13),
                        new Kind(complex, true, false, 7),
                        new Kind(complex, false, true, 2),
                        new Kind(complex, false, false, 16)));
    }

    /** Inputs as numbers, in the order of {@link DiagonalScan.Inputs}; no frequencies where A is real. */
    private record Numbers(Kind kind, List<double[]> all) {
        static Numbers random(Kind kind, SplittableRandom random) {
            int rows = BATCH * kind.length() * CHANNELS;
            List<double[]> all = new ArrayList<>();
            all.add(random.doubles(rows, -1, 1).toArray());
            all.add(random.doubles(rows, 0.01, 2).toArray());
            all.add(random.doubles(CHANNELS * MODES, -3, -0.1).toArray());
            all.add(random.doubles(CHANNELS * MODES, -4, 4).toArray());
            all.add(random.doubles(kind.matrix(kind.ofToken()), -1, 1).toArray());
            all.add(random.doubles(kind.matrix(kind.readOfToken()), -1, 1).toArray());
            all.add(random.doubles((long) BATCH * CHANNELS * kind.states(), -1, 1)
                    .toArray());
            return new Numbers(kind, all);
        }

        private double at(int input, int index) {
            return all.get(input)[index];
        }

        private Tensor tensor(int input, boolean gradient, long... shape) {
            return DiagonalScanTest.tensor(all.get(input), shape).requires_grad_(gradient);
        }

        private Tensor matrix(int input, boolean token, boolean gradient) {
            return token
                    ? tensor(input, gradient, BATCH, kind.length(), kind.states())
                    : tensor(input, gradient, CHANNELS, kind.states());
        }

        DiagonalScan.Inputs inputs(boolean gradient) {
            return new DiagonalScan.Inputs(
                    tensor(0, gradient, BATCH, kind.length(), CHANNELS),
                    tensor(1, gradient, BATCH, kind.length(), CHANNELS),
                    tensor(2, gradient, CHANNELS, MODES),
                    kind.complex() ? tensor(3, gradient, CHANNELS, MODES) : Tensors.absent(),
                    matrix(4, kind.ofToken(), gradient),
                    matrix(5, kind.readOfToken(), gradient),
                    tensor(6, gradient, BATCH, CHANNELS, kind.states()));
        }

        private int index(boolean token, int n, int t, int d, int state) {
            return (token ? n * kind.length() + t : d) * kind.states() + state;
        }

        /** y (B, L, D), then the last state (B, D, N). */
        double[][] recurrence() {
            int width = kind.complex() ? 2 : 1;
            double[] y = new double[BATCH * kind.length() * CHANNELS];
            double[] h = all.get(6).clone();
            for (int n = 0; n < BATCH; n++) {
                for (int t = 0; t < kind.length(); t++) {
                    for (int d = 0; d < CHANNELS; d++) {
                        int row = (n * kind.length() + t) * CHANNELS + d;
                        double step = at(1, row);
                        for (int m = 0; m < MODES; m++) {
                            int re = (n * CHANNELS + d) * kind.states() + m * width;
                            double size = Math.exp(step * at(2, d * MODES + m));
                            double angle = kind.complex() ? step * at(3, d * MODES + m) : 0;
                            double im = kind.complex() ? h[re + 1] : 0;
                            double real = size * (Math.cos(angle) * h[re] - Math.sin(angle) * im);
                            double imaginary = size * (Math.sin(angle) * h[re] + Math.cos(angle) * im);
                            int b = index(kind.ofToken(), n, t, d, m * width);
                            int c = index(kind.readOfToken(), n, t, d, m * width);
                            h[re] = real + step * at(4, b) * at(0, row);
                            y[row] += width * at(5, c) * h[re];
                            if (kind.complex()) {
                                h[re + 1] = imaginary + step * at(4, b + 1) * at(0, row);
                                y[row] -= width * at(5, c + 1) * h[re + 1];
                            }
                        }
                    }
                }
            }
            return new double[][] {y, h};
        }

        /** Σ weight · y of the recurrence. */
        double loss(double[] weights) {
            double[] y = recurrence()[0];
            double sum = 0;
            for (int i = 0; i < y.length; i++) {
                sum += weights[i] * y[i];
            }
            return sum;
        }

        double slope(int input, int index, double[] weights) {
            double[] values = all.get(input);
            double value = values[index];
            values[index] = value + DIFFERENCE;
            double above = loss(weights);
            values[index] = value - DIFFERENCE;
            double below = loss(weights);
            values[index] = value;
            return (above - below) / (2 * DIFFERENCE);
        }
    }

    private static Tensor tensor(double[] values, long... shape) {
        Tensor tensor = Tensors.empty(ScalarType.Double, shape);
        MemorySegment.copy(values, 0, Tensors.segment(tensor), ValueLayout.JAVA_DOUBLE, 0, values.length);
        return Tensors.on(Gpu.kernelsUnderTest().device(), tensor);
    }

    private static double[] values(Tensor tensor) {
        Tensor packed = tensor.detach().cpu().contiguous();
        return Tensors.segment(packed).toArray(ValueLayout.JAVA_DOUBLE);
    }

    private static void assertEqual(String what, double[] actual, double[] expected, double error) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as("%s at %d", what, i).isCloseTo(expected[i], Offset.offset(error));
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void itIsTheRecurrence(Kind kind) {
        long seed = TestSeed.of("DiagonalScanTest");
        Numbers numbers = Numbers.random(kind, new SplittableRandom(seed));
        double[][] expected = numbers.recurrence();
        for (int segment : new int[] {1, 3, 100}) {
            TensorScope.run(() -> NoGrad.run(() -> {
                SequenceOutput scan = DiagonalScan.apply(numbers.inputs(false), segment);
                assertEqual("y, seed " + seed, values(scan.y()), expected[0], 1e-12);
                assertEqual("state, seed " + seed, values(scan.lastState()), expected[1], 1e-12);
            }));
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void itsGradientsAreDifferences(Kind kind) {
        long seed = TestSeed.of("DiagonalScanTest");
        SplittableRandom random = new SplittableRandom(seed);
        Numbers numbers = Numbers.random(kind, random);
        double[] weights =
                random.doubles((long) BATCH * kind.length() * CHANNELS, -1, 1).toArray();
        for (int segment : new int[] {1, 5, 100}) {
            TensorScope.run(() -> {
                DiagonalScan.Inputs in = numbers.inputs(true);
                Tensor y = DiagonalScan.apply(in, segment).y();
                y.mul(tensor(weights, BATCH, kind.length(), CHANNELS)).sum().backward();
                List<Tensor> inputs =
                        List.of(in.u(), in.delta(), in.rate(), in.frequency(), in.b(), in.c(), in.start());
                for (int input = 0; input < inputs.size(); input++) {
                    if (inputs.get(input).defined()) {
                        double[] gradient = values(inputs.get(input).grad());
                        for (int i = 0; i < gradient.length; i++) {
                            assertThat(gradient[i])
                                    .as("seed %d, input %d at %d, segment %d", seed, input, i, segment)
                                    .isCloseTo(numbers.slope(input, i, weights), Offset.offset(1e-7));
                        }
                    }
                }
            });
        }
    }

    @Test
    void whatContinuesIsTheWhole() {
        Numbers numbers = Numbers.random(new Kind(true, true, true, 12), new SplittableRandom(3));
        TensorScope.run(() -> NoGrad.run(() -> {
            DiagonalScan.Inputs in = numbers.inputs(false);
            SequenceOutput whole = DiagonalScan.apply(in);
            Tensor state = in.start();
            int[] ends = {0, 1, 6, 12};
            for (int piece = 1; piece < ends.length; piece++) {
                int from = ends[piece - 1];
                int count = ends[piece] - from;
                SequenceOutput part = DiagonalScan.apply(new DiagonalScan.Inputs(
                        in.u().narrow(1, from, count),
                        in.delta().narrow(1, from, count),
                        in.rate(),
                        in.frequency(),
                        in.b().narrow(1, from, count),
                        in.c().narrow(1, from, count),
                        state));
                state = part.lastState();
                assertEqual("piece", values(part.y()), values(whole.y().narrow(1, from, count)), 1e-12);
            }
            assertEqual("state", values(state), values(whole.lastState()), 1e-12);
        }));
    }

    @Test
    void nothingIsScannedToNothing() {
        Numbers numbers = Numbers.random(new Kind(true, true, true, 0), new SplittableRandom(3));
        TensorScope.run(() -> {
            DiagonalScan.Inputs in = numbers.inputs(false);
            SequenceOutput scan = DiagonalScan.apply(in);
            assertThat(scan.y().size(1)).isZero();
            assertEqual("state", values(scan.lastState()), values(in.start()), 0);
        });
    }

    @Test
    void shapesMustFit() {
        Numbers numbers = Numbers.random(new Kind(true, true, true, 4), new SplittableRandom(3));
        TensorScope.run(() -> {
            DiagonalScan.Inputs in = numbers.inputs(false);
            assertThatThrownBy(() -> new DiagonalScan.Inputs(
                            in.u(), in.delta(), in.rate(), Tensors.absent(), in.b(), in.c(), in.start()))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("b has shape [2, 4, 4], wanted [2, 4, 2]");
        });
    }
}
