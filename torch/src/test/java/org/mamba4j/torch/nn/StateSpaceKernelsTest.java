package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.DoubleStream;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.TestSeed;
import org.mamba4j.ssm.Complex;
import org.mamba4j.ssm.ContinuousSystem;
import org.mamba4j.ssm.DiscreteSystem;
import org.mamba4j.ssm.Discretisation;
import org.mamba4j.ssm.Hippo;
import org.mamba4j.ssm.Matrix;
import org.mamba4j.torch.ComplexTensors;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * S4 and S4D as tensors, in float64, against dense systems: kernels, the views by convolution, piece by piece and by
 * recurrence, and the continuous system solved in small steps.
 */
class StateSpaceKernelsTest {
    private static final int CHANNELS = 3;
    private static final int BATCH = 2;

    private final long seed = TestSeed.of("StateSpaceKernelsTest");
    private final SplittableRandom random = new SplittableRandom(seed);

    /** Systems of several channels, as numbers. */
    private record Systems(
            List<Double> steps,
            List<List<Complex>> lambda,
            List<List<Complex>> p,
            List<List<Complex>> b,
            List<List<Complex>> c) {
        ContinuousSystem continuous(int channel) {
            return ContinuousSystem.ofConjugatePairs(
                    lambda.get(channel), p.get(channel), b.get(channel), c.get(channel), 0);
        }

        DiscreteSystem discrete(int channel, Discretisation rule) {
            return rule.of(continuous(channel), steps.get(channel));
        }
    }

    private static Tensor tensor(double[] values, long... shape) {
        Tensor tensor = Tensors.empty(ScalarType.Double, shape);
        MemorySegment.copy(values, 0, Tensors.segment(tensor), ValueLayout.JAVA_DOUBLE, 0, values.length);
        return Tensors.on(Gpu.kernelsUnderTest().device(), tensor);
    }

    private static Tensor complex(List<List<Complex>> values) {
        return ComplexTensors.ofPairs(
                tensor(pairs(values), values.size(), 2L * values.getFirst().size()));
    }

    private static Tensor numbers(List<Double> values) {
        return tensor(values.stream().mapToDouble(Double::doubleValue).toArray(), values.size());
    }

    private static double[] values(Tensor tensor) {
        Tensor packed = tensor.detach().cpu().contiguous();
        return Tensors.segment(packed).toArray(ValueLayout.JAVA_DOUBLE);
    }

    private List<Complex> normal(int count) {
        List<Complex> all = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            all.add(new Complex(random.nextGaussian(), random.nextGaussian()).times(Math.sqrt(0.5)));
        }
        return all;
    }

    private List<Double> steps(double least, double greatest) {
        return random.doubles(CHANNELS, Math.log(least), Math.log(greatest))
                .map(Math::exp)
                .boxed()
                .toList();
    }

    private Systems hippo(int n, double least, double greatest) {
        Hippo.NormalForm form = Hippo.normalForm(n);
        List<List<Complex>> c = new ArrayList<>();
        for (int i = 0; i < CHANNELS; i++) {
            c.add(normal(n / 2));
        }
        return new Systems(steps(least, greatest), repeat(form.lambda()), repeat(form.p()), repeat(form.b()), c);
    }

    private Systems diagonal(int n) {
        List<List<Complex>> lambda = new ArrayList<>();
        List<List<Complex>> c = new ArrayList<>();
        for (int i = 0; i < CHANNELS; i++) {
            List<Complex> own = new ArrayList<>();
            for (int m = 0; m < n / 2; m++) {
                own.add(new Complex(-0.5 - random.nextDouble(), Math.PI * m));
            }
            lambda.add(own);
            c.add(normal(n / 2));
        }
        List<Complex> zeros = new ArrayList<>();
        List<Complex> ones = new ArrayList<>();
        for (int m = 0; m < n / 2; m++) {
            zeros.add(Complex.ZERO);
            ones.add(Complex.ONE);
        }
        return new Systems(steps(1e-3, 0.1), lambda, repeat(zeros), repeat(ones), c);
    }

    private static <T> List<T> repeat(T value) {
        List<T> all = new ArrayList<>();
        for (int i = 0; i < CHANNELS; i++) {
            all.add(value);
        }
        return all;
    }

    private static DiagonalSystem diagonal(Systems systems, boolean bilinear) {
        return DiagonalSystem.of(numbers(systems.steps()), complex(systems.lambda()), complex(systems.c()), bilinear);
    }

    /** C̃ is made from C as when a model is made. */
    private static LowRankSystem lowRank(Systems systems, int length) {
        LowRankSystem drawn = new LowRankSystem(
                numbers(systems.steps()),
                complex(systems.lambda()),
                complex(systems.p()),
                complex(systems.b()),
                complex(systems.c()),
                length);
        return new LowRankSystem(
                drawn.step(), drawn.lambda(), drawn.p(), drawn.b(), ComplexTensors.ofPairs(drawn.stored()), length);
    }

    private void assertKernel(Tensor kernel, Systems systems, Discretisation rule, int length) {
        double[] actual = values(kernel);
        assertThat(actual).hasSize(CHANNELS * length);
        for (int i = 0; i < CHANNELS; i++) {
            double[] expected = systems.discrete(i, rule).kernel(length);
            for (int l = 0; l < length; l++) {
                assertThat(actual[i * length + l])
                        .as("seed %d, channel %d, l = %d", seed, i, l)
                        .isCloseTo(expected[l], Offset.offset(1e-8));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 64, 100})
    void kernelsOfS4dAreThoseOfDenseSystems(int length) {
        Systems systems = diagonal(16);
        TensorScope.run(() -> {
            assertKernel(diagonal(systems, false).kernel(length), systems, Discretisation.ZERO_ORDER_HOLD, length);
            assertKernel(diagonal(systems, true).kernel(length), systems, Discretisation.BILINEAR, length);
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 64, 101, 1024})
    void kernelsOfS4AreThoseOfDenseSystems(int length) {
        Systems systems = hippo(length == 1024 ? 64 : 16, 0.01, 0.1);
        TensorScope.run(
                () -> assertKernel(lowRank(systems, length).kernel(), systems, Discretisation.BILINEAR, length));
    }

    /** A real diagonal A, whose bilinear steps turn negative where they are long. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void realSystems(boolean bilinear) {
        double[] a = {-1, -2, -30};
        double[] c = random.doubles(9, -1, 1).toArray();
        double[] steps = {0.01, 0.3, 1};
        Discretisation rule = bilinear ? Discretisation.BILINEAR : Discretisation.ZERO_ORDER_HOLD;
        TensorScope.run(() -> {
            DiagonalSystem system = DiagonalSystem.of(
                    tensor(steps, CHANNELS),
                    tensor(new double[] {-1, -2, -30, -1, -2, -30, -1, -2, -30}, CHANNELS, 3),
                    tensor(c, CHANNELS, 3),
                    bilinear);
            double[] actual = values(system.kernel(20));
            for (int i = 0; i < CHANNELS; i++) {
                for (int l = 0; l < 20; l++) {
                    double expected = 0;
                    for (int m = 0; m < 3; m++) {
                        Discretisation.Mode mode = rule.of(Complex.of(a[m]), steps[i]);
                        expected += c[3 * i + m]
                                * mode.input().re()
                                * Math.pow(mode.decay().re(), l);
                    }
                    assertThat(actual[20 * i + l]).as("seed %d", seed).isCloseTo(expected, Offset.offset(1e-10));
                }
            }
        });
    }

    /** Inputs by convolution with the kernel, piece by piece from state to state, and by the dense recurrence. */
    private void assertViews(Tensor kernel, LinearLayer.Response response, Systems systems, Discretisation rule) {
        int length = 40;
        double[] u = random.doubles((long) BATCH * CHANNELS * length, -1, 1).toArray(); // (B, D, L)
        Tensor inputs = tensor(u, BATCH, CHANNELS, length);
        double[] convolved = values(FftConvolution.causal(inputs, kernel));
        Tensor state = inputs.narrow(2, 0, 1).mul(new Scalar(0.0)).expand(BATCH, CHANNELS, 16); // (B, D, N)
        List<double[]> pieces = new ArrayList<>();
        int[] ends = {0, 1, 2, 10, 18, 25, 40 - 3, 40};
        for (int piece = 1; piece < ends.length; piece++) {
            int steps = ends[piece] - ends[piece - 1];
            Tensor some = inputs.narrow(2, ends[piece - 1], steps).transpose(1, 2); // (B, P, D)
            pieces.add(values(LinearLayer.outputs(some, state, response)));
            state = LinearLayer.next(some, state, response);
        }
        for (int n = 0; n < BATCH; n++) {
            for (int i = 0; i < CHANNELS; i++) {
                int at = (n * CHANNELS + i) * length;
                double[] expected = systems.discrete(i, rule).apply(Arrays.copyOfRange(u, at, at + length));
                for (int t = 0, piece = 0; t < length; t++) {
                    piece += t == ends[piece + 1] ? 1 : 0;
                    int steps = ends[piece + 1] - ends[piece];
                    double inPiece = pieces.get(piece)[(n * steps + t - ends[piece]) * CHANNELS + i];
                    assertThat(convolved[at + t])
                            .as("seed %d, %d", seed, t)
                            .isCloseTo(expected[t], Offset.offset(1e-8));
                    assertThat(inPiece).as("seed %d, %d", seed, t).isCloseTo(expected[t], Offset.offset(1e-8));
                }
            }
        }
    }

    @Test
    void s4dIsTheSameByConvolutionInPiecesAndByRecurrence() {
        Systems systems = diagonal(16);
        TensorScope.run(() -> {
            for (boolean bilinear : new boolean[] {false, true}) {
                DiagonalSystem system = diagonal(systems, bilinear);
                assertViews(
                        system.kernel(40),
                        system.response(12),
                        systems,
                        bilinear ? Discretisation.BILINEAR : Discretisation.ZERO_ORDER_HOLD);
            }
        });
    }

    @Test
    void s4IsTheSameByConvolutionInPiecesAndByRecurrence() {
        Systems systems = hippo(16, 0.01, 0.3);
        TensorScope.run(() -> {
            LowRankSystem system = lowRank(systems, 40);
            assertViews(system.kernel(), system.response(12), systems, Discretisation.BILINEAR);
        });
    }

    /** In small steps Δ a kernel is Δ times the impulse response, here of the middle of each step, solved by Runge and Kutta. */
    @Test
    void kernelsAreIntegralsOfTheContinuousSystem() {
        Systems systems = hippo(8, 1e-4, 2e-4);
        Systems withoutRank = new Systems(
                systems.steps(),
                systems.lambda(),
                repeat(repeated(Complex.ZERO)),
                repeat(repeated(Complex.ONE)),
                systems.c());
        TensorScope.run(() -> {
            assertSmallSteps(lowRank(systems, 300).kernel(), systems, 300);
            assertSmallSteps(diagonal(withoutRank, false).kernel(300), withoutRank, 300);
            assertSmallSteps(diagonal(withoutRank, true).kernel(300), withoutRank, 300);
        });
    }

    private static List<Complex> repeated(Complex value) {
        return List.of(value, value, value, value);
    }

    private void assertSmallSteps(Tensor kernel, Systems systems, int length) {
        double[] actual = values(kernel);
        for (int i = 0; i < CHANNELS; i++) {
            ContinuousSystem system = systems.continuous(i);
            double step = systems.steps().get(i);
            Matrix x = runge(system.a(), system.b(), step / 2);
            for (int l = 0; l < length; l++) {
                double response = system.c().times(x).get(0, 0);
                assertThat(actual[i * length + l] / step)
                        .as("seed %d, channel %d, l = %d", seed, i, l)
                        .isCloseTo(response, Offset.offset(3e-4));
                x = runge(system.a(), x, step);
            }
        }
    }

    private static Matrix runge(Matrix a, Matrix x, double step) {
        Matrix k1 = a.times(x);
        Matrix k2 = a.times(x.plus(step / 2, k1));
        Matrix k3 = a.times(x.plus(step / 2, k2));
        Matrix k4 = a.times(x.plus(step, k3));
        return x.plus(step / 6, k1).plus(step / 3, k2).plus(step / 3, k3).plus(step / 6, k4);
    }

    /** What float32 leaves of a kernel as long as those of training. */
    @Test
    void inFloat32() {
        Systems systems = hippo(64, 1e-3, 0.1);
        TensorScope.run(() -> {
            LowRankSystem exact = lowRank(systems, 1024);
            LowRankSystem single = new LowRankSystem(
                    exact.step().to(ScalarType.Float),
                    exact.lambda().to(ScalarType.ComplexFloat),
                    exact.p().to(ScalarType.ComplexFloat),
                    exact.b().to(ScalarType.ComplexFloat),
                    exact.c().to(ScalarType.ComplexFloat),
                    1024);
            double[] expected = values(exact.kernel());
            double[] actual = values(single.kernel().to(ScalarType.Double));
            double greatest = 0;
            double error = 0;
            for (int l = 0; l < expected.length; l++) {
                greatest = Math.max(greatest, Math.abs(expected[l]));
                error = Math.max(error, Math.abs(actual[l] - expected[l]));
            }
            assertThat(error / greatest).as("seed %d", seed).isLessThan(1e-3);
        });
    }

    /** A kernel of the numbers that are trained, as tensors of pairs. */
    private interface Kernel {
        Tensor of(List<Tensor> parameters);
    }

    private void assertGradients(Kernel kernel, List<double[]> numbers, int length) {
        double[] weights = random.doubles((long) CHANNELS * length, -1, 1).toArray();
        List<Tensor> leaves = leaves(numbers);
        leaves.forEach(leaf -> leaf.requires_grad_(true));
        kernel.of(leaves).mul(tensor(weights, CHANNELS, length)).sum().backward();
        for (int input = 0; input < numbers.size(); input++) {
            double[] values = numbers.get(input);
            double[] gradient = values(leaves.get(input).grad());
            double scale =
                    Math.max(1, Arrays.stream(gradient).map(Math::abs).max().orElse(0));
            for (int i = 0; i < values.length; i += 5) {
                double value = values[i];
                double h = 1e-6 * Math.max(1e-2, Math.abs(value));
                values[i] = value + h;
                double above = weighted(kernel, numbers, weights);
                values[i] = value - h;
                double below = weighted(kernel, numbers, weights);
                values[i] = value;
                assertThat(gradient[i])
                        .as("seed %d, parameter %d at %d", seed, input, i)
                        .isCloseTo((above - below) / (2 * h), Offset.offset(1e-5 * scale));
            }
        }
    }

    private static double weighted(Kernel kernel, List<double[]> numbers, double[] weights) {
        return TensorScope.call(() -> {
            double[] values = values(kernel.of(leaves(numbers)));
            double sum = 0;
            for (int i = 0; i < values.length; i++) {
                sum += weights[i] * values[i];
            }
            return sum;
        });
    }

    private static List<Tensor> leaves(List<double[]> numbers) {
        return numbers.stream()
                .map(values -> tensor(values, CHANNELS, values.length / CHANNELS))
                .toList();
    }

    private static double[] pairs(List<List<Complex>> values) {
        return values.stream()
                .flatMap(List::stream)
                .flatMapToDouble(value -> DoubleStream.of(value.re(), value.im()))
                .toArray();
    }

    @Test
    void gradientsOfKernelsAreDifferences() {
        Systems s4 = hippo(8, 0.01, 0.1);
        Systems s4d = diagonal(8);
        TensorScope.run(() -> {
            List<double[]> numbers = List.of(
                    s4.steps().stream().mapToDouble(Double::doubleValue).toArray(),
                    pairs(s4.lambda()),
                    pairs(s4.p()),
                    pairs(s4.b()),
                    pairs(s4.c()));
            assertGradients(
                    leaves -> new LowRankSystem(
                                    leaves.get(0).squeeze(1),
                                    ComplexTensors.ofPairs(leaves.get(1)),
                                    ComplexTensors.ofPairs(leaves.get(2)),
                                    ComplexTensors.ofPairs(leaves.get(3)),
                                    ComplexTensors.ofPairs(leaves.get(4)),
                                    30)
                            .kernel(),
                    numbers,
                    30);
            for (boolean bilinear : new boolean[] {false, true}) {
                assertGradients(
                        leaves -> DiagonalSystem.of(
                                        leaves.get(0).squeeze(1),
                                        ComplexTensors.ofPairs(leaves.get(1)),
                                        ComplexTensors.ofPairs(leaves.get(2)),
                                        bilinear)
                                .kernel(30),
                        List.of(
                                s4d.steps().stream()
                                        .mapToDouble(Double::doubleValue)
                                        .toArray(),
                                pairs(s4d.lambda()),
                                pairs(s4d.c())),
                        30);
            }
        });
    }
}
