package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.TestSeed;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** The diagonal scan's CUDA kernels in float32 against the same scan by libtorch's operations in float64 on the CPU. Skipped where there is no GPU. */
@Tag("gpu")
class CudaDiagonalScanTest {
    /** Of the greatest value of each result. */
    private static final double TOLERANCE = 5e-5;

    /** Where all terms cancel, the greatest value says nothing about their rounding. */
    private static final double LEAST_SCALE = 0.1;

    private static final List<String> NAMES = List.of("u", "delta", "rate", "frequency", "b", "c", "start");

    /** A problem: sizes, whether numbers are complex, and whether B and C are the token's. */
    record Kind(int batch, int length, int channels, int modes, boolean complex, boolean ofToken, boolean readOfToken) {
        int states() {
            return complex ? 2 * modes : modes;
        }

        long[] matrix(boolean token) {
            return token ? new long[] {batch, length, states()} : new long[] {channels, states()};
        }
    }

    static Stream<Kind> kinds() {
        return Stream.of(true, false)
                .flatMap(complex -> Stream.of(
                        new Kind(1, 1, 1, 1, complex, true, false),
                        new Kind(3, 7, 5, 4, complex, false, true),
                        new Kind(2, 64, 33, 16, complex, false, false),
                        new Kind(2, 65, 64, 16, complex, true, true),
                        new Kind(1, 300, 70, 17, complex, true, false),
                        new Kind(2, 129, 32, 2, complex, false, true),
                        new Kind(1, 200, 40, 64, complex, true, true),
                        new Kind(1, 3000, 9, 8, complex, false, false)));
    }

    @BeforeAll
    static void needsGpu() {
        Gpu.require();
    }

    /** Inputs on the CPU in float32, in the order of {@link DiagonalScan.Inputs}, then the weights of y in the loss. */
    private static List<Tensor> random(Kind kind) {
        SplittableRandom random = new SplittableRandom(TestSeed.of("CudaDiagonalScanTest"));
        return List.of(
                uniform(random, -1, 1, kind.batch(), kind.length(), kind.channels()),
                uniform(random, 0.01, 1, kind.batch(), kind.length(), kind.channels()),
                uniform(random, -3, -0.1, kind.channels(), kind.modes()),
                kind.complex() ? uniform(random, -4, 4, kind.channels(), kind.modes()) : Tensors.absent(),
                uniform(random, -1, 1, kind.matrix(kind.ofToken())),
                uniform(random, -1, 1, kind.matrix(kind.readOfToken())),
                uniform(random, -1, 1, kind.batch(), kind.channels(), kind.states()),
                uniform(random, -1, 1, kind.batch(), kind.length(), kind.channels()));
    }

    private static Tensor uniform(SplittableRandom random, double from, double to, long... shape) {
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        float[] values = new float[Math.toIntExact(count)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextDouble(from, to);
        }
        return Tensors.of(values, shape);
    }

    private interface Scan {
        SequenceOutput apply(DiagonalScan.Inputs in);
    }

    /** y, the last state and the gradients of the inputs that are there, float64 on the CPU. */
    private static List<Tensor> run(List<Tensor> numbers, Scan scan) {
        List<Tensor> in = numbers.subList(0, NAMES.size()).stream()
                .map(x -> x.defined() ? x.detach().requires_grad_(true) : x)
                .toList();
        SequenceOutput out = scan.apply(inputs(in));
        out.y().mul(numbers.getLast()).sum().backward();
        List<Tensor> results = new ArrayList<>(List.of(exact(out.y()), exact(out.lastState())));
        in.stream().filter(Tensor::defined).forEach(x -> results.add(exact(x.grad())));
        return results;
    }

    private static DiagonalScan.Inputs inputs(List<Tensor> in) {
        return new DiagonalScan.Inputs(in.get(0), in.get(1), in.get(2), in.get(3), in.get(4), in.get(5), in.get(6));
    }

    private static Tensor exact(Tensor x) {
        return x.detach().cpu().to(ScalarType.Double);
    }

    private static List<Tensor> on(List<Tensor> numbers, String device) {
        return numbers.stream()
                .map(x -> x.defined() ? Tensors.on(device, x) : x)
                .toList();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void equalsTheComposedScan(Kind kind) {
        TensorScope.run(() -> {
            List<Tensor> numbers = random(kind);
            List<Tensor> expected =
                    run(numbers.stream().map(x -> x.defined() ? exact(x) : x).toList(), DiagonalScan::composed);
            List<Tensor> actual = run(on(numbers, "cuda"), CudaDiagonalScan::apply);
            assertThat(actual).hasSameSizeAs(expected);
            for (int i = 0; i < actual.size(); i++) {
                double scale = Math.max(expected.get(i).abs().max().item_double(), LEAST_SCALE);
                double error = expected.get(i).sub(actual.get(i)).abs().max().item_double();
                assertThat(error).as("result %d", i).isLessThan(TOLERANCE * scale);
            }
        });
    }

    @Test
    void givesTheSameBits() {
        TensorScope.run(() -> {
            List<Tensor> numbers = on(random(new Kind(4, 700, 130, 16, true, true, false)), "cuda");
            List<Tensor> first = run(numbers, CudaDiagonalScan::apply);
            List<Tensor> second = run(numbers, CudaDiagonalScan::apply);
            for (int i = 0; i < first.size(); i++) {
                assertThat(first.get(i).equal(second.get(i))).as("result %d", i).isTrue();
            }
        });
    }

    @Test
    void readsColumnsOfWiderTensorsAndNeedsNoStart() {
        TensorScope.run(() -> {
            Kind kind = new Kind(2, 70, 6, 4, true, true, true);
            List<Tensor> numbers = new ArrayList<>(on(random(kind), "cuda"));
            numbers.set(6, Tensors.absent());
            List<Tensor> expected = run(numbers, CudaDiagonalScan::apply);
            Tensor wide = torch.cat(new TensorVector(numbers.get(4), numbers.get(5)), 2);
            numbers.set(4, wide.narrow(2, 0, kind.states()));
            numbers.set(5, wide.narrow(2, kind.states(), kind.states()));
            List<Tensor> actual = run(numbers, CudaDiagonalScan::apply);
            for (int i = 0; i < actual.size(); i++) {
                assertThat(actual.get(i).equal(expected.get(i)))
                        .as("result %d", i)
                        .isTrue();
            }
        });
    }

    @Test
    void whatIsNotWantedIsNotComputed() {
        TensorScope.run(() -> {
            List<Tensor> numbers = on(random(new Kind(2, 70, 6, 4, true, true, false)), "cuda");
            List<Tensor> all = run(numbers, CudaDiagonalScan::apply);
            for (int wanted = 0; wanted < NAMES.size(); wanted++) {
                List<Tensor> in =
                        new ArrayList<>(numbers.stream().map(Tensor::detach).toList());
                in.get(wanted).requires_grad_(true);
                CudaDiagonalScan.apply(inputs(in))
                        .y()
                        .mul(numbers.getLast())
                        .sum()
                        .backward();
                assertThat(exact(in.get(wanted).grad()).equal(all.get(2 + wanted)))
                        .as(NAMES.get(wanted))
                        .isTrue();
            }
        });
    }
}
