package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;

/**
 * The CUDA operations against the composed ones on the CPU, forward and backward, with the tolerances that the kernels
 * are held to. Skipped where there is no GPU.
 */
@Tag("gpu")
@SuppressWarnings("try") // a scope is there to be closed, not to be used
class CudaKernelsTest {
    private static final float FORWARD_RTOL = 6e-4f;
    private static final float FORWARD_ATOL = 2e-3f;
    private static final float BF16_RTOL = 3e-2f;
    private static final float BF16_ATOL = 5e-2f;
    private static final float GRADIENT_FACTOR = 5;

    @BeforeAll
    static void needsGpu() {
        Torch.load();
        assumeTrue(torch.hasCUDA() && torch.cuda_is_available(), "skipped: no CUDA device");
    }

    @ParameterizedTest
    @CsvSource({
        // B, L, D, N, options
        "1, 1, 1, 1, none", "1, 31, 8, 16, all", "2, 32, 16, 16, all", "2, 33, 17, 16, all", "1, 64, 128, 16, none",
        "3, 127, 40, 8, all", "1, 257, 24, 64, all", "2, 61, 10, 3, all", "1, 100, 32, 256, all",
                "1, 4098, 48, 16, all",
        "1, 0, 8, 16, all", "1, 1500, 256, 16, start"
    })
    void scanEqualsTheComposedOne(int batch, int length, int channels, int states, String options) {
        for (ScalarType type : List.of(ScalarType.Float, ScalarType.BFloat16)) {
            try (TensorScope scope = new TensorScope()) {
                Random random = new Random(length * 31L + channels);
                List<Tensor> given = new ArrayList<>();
                given.add(normal(random, 1, batch, length, channels)); // u
                given.add(normal(random, 0.5f, batch, length, channels)); // delta
                given.add(negative(random, channels, states)); // a
                given.add(normal(random, 1, batch, length, states)); // b
                given.add(normal(random, 1, batch, length, states)); // c
                boolean all = options.equals("all");
                given.add(all ? normal(random, 1, channels) : Tensors.absent()); // d
                given.add(all ? normal(random, 0.5f, channels) : Tensors.absent()); // deltaBias
                given.add(all ? normal(random, 1, batch, length, channels) : Tensors.absent()); // z
                boolean start = all || options.equals("start");
                given.add(start ? normal(random, 1, batch, channels, states) : Tensors.absent());
                round(given, List.of(0, 1, 3, 4, 7), type);
                Function<List<Tensor>, ScanInputs> inputs = t -> new ScanInputs(
                        t.get(0), t.get(1), t.get(2), t.get(3), t.get(4), t.get(5), t.get(6), t.get(7), true, t.get(8));
                Tensor weight = normal(random, 1, batch, length, channels);

                Run expected = run(given, t -> ComposedScan.unbound().apply(inputs.apply(t), true), weight);
                Run actual = run(
                        onGpu(given, List.of(0, 1, 3, 4, 7), type),
                        t -> new CudaScan().apply(inputs.apply(t), true),
                        weight);
                compare("scan " + type, expected, actual, type, length);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "1, 1, 1, 4",
        "2, 15, 8, 4",
        "1, 128, 128, 4",
        "2, 129, 130, 4",
        "1, 1000, 40, 3",
        "1, 37, 24, 2",
        "2, 2, 16, 4"
    })
    void convolutionEqualsTheComposedOne(int batch, int length, int channels, int width) {
        for (ScalarType type : List.of(ScalarType.Float, ScalarType.BFloat16)) {
            for (boolean start : List.of(false, true)) {
                try (TensorScope scope = new TensorScope()) {
                    Random random = new Random(length * 31L + channels);
                    List<Tensor> given = new ArrayList<>();
                    given.add(normal(random, 1, batch, length, channels));
                    given.add(normal(random, 0.5f, channels, 1, width));
                    given.add(normal(random, 0.5f, channels));
                    Tensor before = start ? normal(random, 1, batch, channels, width - 1) : Tensors.absent();
                    round(given, List.of(0), type);
                    if (start) {
                        before = before.to(type).to(ScalarType.Float);
                    }
                    Tensor stateCpu = before;
                    Tensor stateGpu = start ? before.to(new Device("cuda"), ScalarType.Float) : before;
                    Tensor weight = normal(random, 1, batch, length, channels);

                    Run expected = run(
                            given,
                            t -> new ComposedConv().apply(new ConvInputs(t.get(0), t.get(1), t.get(2), stateCpu), true),
                            weight);
                    Run actual = run(
                            onGpu(given, List.of(0), type),
                            t -> new CudaConv().apply(new ConvInputs(t.get(0), t.get(1), t.get(2), stateGpu), true),
                            weight);
                    compare("conv " + type, expected, actual, type, length);
                }
            }
        }
    }

    /** What one run returned, copied to the host. */
    private static final class Run {
        private final float[] y;
        private final float[] last;
        private final List<float[]> gradients;

        Run(float[] y, float[] last, List<float[]> gradients) {
            this.y = y;
            this.last = last;
            this.gradients = gradients;
        }
    }

    private static Run run(List<Tensor> given, Function<List<Tensor>, SequenceOutput> operation, Tensor weight) {
        List<Tensor> leaves = given.stream()
                .map(t -> t.defined() ? t.detach().requires_grad_(true) : t)
                .toList();
        SequenceOutput out = operation.apply(leaves);
        float[] y = floats(out.y());
        if (out.y().numel() == 0) {
            return new Run(y, floats(out.lastState()), List.of());
        }
        out.y()
                .to(ScalarType.Float)
                .mul(weight.to(out.y().device(), ScalarType.Float))
                .sum()
                .backward();
        List<float[]> gradients = leaves.stream()
                .map(t -> t.defined() ? floats(t.grad()) : new float[0])
                .toList();
        return new Run(y, floats(out.lastState()), gradients);
    }

    private static void compare(String what, Run expected, Run actual, ScalarType type, int length) {
        boolean bf16 = type == ScalarType.BFloat16;
        float rtol = bf16 ? BF16_RTOL : FORWARD_RTOL;
        float atol = bf16 ? BF16_ATOL : FORWARD_ATOL;
        close(what + " y", expected.y, actual.y, rtol, atol);
        close(what + " last state", expected.last, actual.last, rtol, atol);
        for (int i = 0; i < expected.gradients.size(); i++) {
            // Gradients of parameters are sums over all steps: their error grows with the sum's size.
            float scale = (float) Math.max(1, rms(expected.gradients.get(i)));
            close(
                    what + " gradient " + i + ", L " + length,
                    expected.gradients.get(i),
                    actual.gradients.get(i),
                    GRADIENT_FACTOR * rtol,
                    GRADIENT_FACTOR * atol * scale);
        }
    }

    private static double rms(float... values) {
        double sum = 0;
        for (float value : values) {
            sum += (double) value * value;
        }
        return Math.sqrt(sum / Math.max(1, values.length));
    }

    private static void close(String what, float[] expected, float[] actual, float rtol, float atol) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            float allowed = atol + rtol * Math.abs(expected[i]);
            // Written so that NaN fails.
            if (!(Math.abs(expected[i] - actual[i]) <= allowed)) {
                throw new AssertionError(what + ", element " + i + ": expected " + expected[i] + ", got " + actual[i]);
            }
        }
    }

    private static List<Tensor> onGpu(List<Tensor> given, List<Integer> activations, ScalarType type) {
        List<Tensor> moved = new ArrayList<>();
        for (int i = 0; i < given.size(); i++) {
            Tensor tensor = given.get(i);
            moved.add(
                    tensor.defined()
                            ? tensor.to(new Device("cuda"), activations.contains(i) ? type : ScalarType.Float)
                            : tensor);
        }
        return moved;
    }

    /** Activations as {@code type} holds them, so that both sides see equal inputs. */
    private static void round(List<Tensor> given, List<Integer> activations, ScalarType type) {
        for (int i : activations) {
            if (i < given.size() && given.get(i).defined()) {
                given.set(i, given.get(i).to(type).to(ScalarType.Float));
            }
        }
    }

    private static Tensor normal(Random random, float scale, long... shape) {
        int count = 1;
        for (long size : shape) {
            count *= (int) size;
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = scale * (float) random.nextGaussian();
        }
        return Tensors.of(values, shape);
    }

    private static Tensor negative(Random random, long channels, long states) {
        return normal(random, 0.5f, channels, states).exp().neg();
    }

    private static float[] floats(Tensor tensor) {
        return tensor.defined() ? Tensors.toFloats(tensor.to(ScalarType.Float)) : new float[0];
    }
}
