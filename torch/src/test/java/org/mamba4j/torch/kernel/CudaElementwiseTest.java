package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.nn.Parameter;
import org.mamba4j.torch.train.AdamW;

/**
 * The CUDA operations that are bound by device memory against libtorch's own in float64 on the CPU. Skipped where there
 * is no GPU.
 */
@Tag("gpu")
@SuppressWarnings("try") // a scope is there to be closed, not to be used
class CudaElementwiseTest {
    private static final double BF16 = 4e-3;
    private static final double FLOAT = 5e-6;
    private static final long IGNORED = -100;
    private static final Tensor ABSENT = Tensors.absent();

    @BeforeAll
    static void needsGpu() {
        Torch.load();
        assumeTrue(torch.hasCUDA() && torch.cuda_is_available(), "skipped: no CUDA device");
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "7, 13", "64, 384", "515, 768", "9, 2500", "3, 8192"})
    void normEqualsLibtorchs(int rows, int width) {
        for (ScalarType type : List.of(ScalarType.Float, ScalarType.BFloat16)) {
            try (TensorScope scope = new TensorScope()) {
                Random random = new Random(31L * rows + width);
                Tensor x = normal(random, rows, width);
                Tensor addend = normal(random, rows, width).to(type).to(ScalarType.Float);
                Tensor weight = normal(random, width);
                Tensor dNormed = normal(random, rows, width).to(type).to(ScalarType.Float);
                Tensor dResidual = normal(random, rows, width);
                Tensor sum = x.add(addend);
                Tensor leaf = leaf(sum);
                Tensor leafWeight = leaf(weight);
                Tensor expected = torch.rms_norm(
                        leaf, new long[] {width}, new TensorOptional(leafWeight), new DoubleOptional(1e-5));
                expected.mul(dNormed).sum().backward();

                CudaRmsNorm norm = new CudaRmsNorm(gpu(weight), 1e-5);
                Tensor actualSum = gpu(x);
                Tensor normed = Tensors.emptyLike(actualSum, type, rows, width);
                Tensor scale = Tensors.emptyLike(actualSum, ScalarType.Float, rows);
                norm.forwardAdd(actualSum, gpu(addend, type), actualSum, normed, scale);
                Tensor dx = gpu(dResidual);
                Tensor copy = Tensors.emptyLike(dx, type, rows, width);
                Tensor dWeight = gpu(weight);
                norm.backward(
                        gpu(dNormed, type),
                        actualSum,
                        scale,
                        new CudaRmsNorm.Gradients(dx, dx, copy, dWeight, true, CudaRmsNorm.workspace(dx, width)));

                double rtol = type == ScalarType.Float ? FLOAT : BF16;
                close("sum", sum, actualSum, 0, 0);
                close("normed", expected, normed, rtol, 1e-6);
                close("dx", leaf.grad().add(dResidual), dx, FLOAT, 2e-4);
                close("copy of dx", leaf.grad().add(dResidual), copy, rtol, 2e-4);
                close("dWeight", leafWeight.grad().add(weight), dWeight, 1e-5, 1e-4);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "5, 2, 0",
        "37, 13, 3",
        "37, 256, 0",
        "9, 257, 0",
        "9, 5001, 0",
        "5, 50280, 0",
        "3, 50277, 11",
        "2, 300000, 0"
    })
    void crossEntropyEqualsLibtorchs(int rows, int vocabulary, int padding) {
        for (ScalarType type : List.of(ScalarType.Float, ScalarType.BFloat16)) {
            for (boolean weighted : List.of(false, true)) {
                try (TensorScope scope = new TensorScope()) {
                    Random random = new Random(31L * rows + vocabulary);
                    Tensor logits = normal(random, rows, vocabulary)
                            .mul(new Scalar(3.0))
                            .to(type)
                            .to(ScalarType.Float);
                    long[] ids = random.longs(rows, 0, vocabulary).toArray();
                    ids[rows - 1] = IGNORED;
                    Tensor targets = Tensors.of(ids, rows);
                    Tensor weights = weighted ? normal(random, rows).abs() : ABSENT;
                    Tensor leaf = leaf(logits);
                    Tensor each = torch.cross_entropy_loss(leaf, targets, new TensorOptional(), 0, IGNORED, 0.0);
                    Tensor expected = weighted
                            ? each.mul(weights).sum().div(weights.sum())
                            : each.sum().div(new Scalar(rows - 1.0));
                    expected.backward();

                    Tensor held = Tensors.emptyLike(gpu(logits), type, rows, vocabulary + padding);
                    held.fill_(new Scalar(7.0));
                    Tensor actual = held.narrow(1, 0, vocabulary);
                    actual.copy_(gpu(logits, type));
                    Tensor loss = lossInChunks(actual, gpu(targets, ScalarType.Long), gpu(weights), 2);

                    close("loss", expected.view(1), loss, FLOAT, 1e-6);
                    close("gradient", leaf.grad(), actual, type == ScalarType.Float ? 3e-5 : BF16, 1e-6);
                    if (padding > 0) {
                        Tensor rest = held.narrow(1, vocabulary, padding);
                        close("padding", torch.full_like(rest.cpu(), new Scalar(7.0)), rest, 0, 0);
                    }
                }
            }
        }
    }

    /** The loss, in chunks of so many rows; the logits become their gradient. */
    private static Tensor lossInChunks(Tensor logits, Tensor targets, Tensor weights, long chunk) {
        Tensor losses = Tensors.emptyLike(logits, ScalarType.Float, logits.size(0));
        Tensor normaliser = Tensors.emptyLike(logits, ScalarType.Float, 1);
        Tensor loss = Tensors.emptyLike(logits, ScalarType.Float, 1);
        CudaCrossEntropy.normaliser(targets, weights, normaliser);
        for (long from = 0; from < logits.size(0); from += chunk) {
            long count = Math.min(chunk, logits.size(0) - from);
            CudaCrossEntropy.differentiate(
                    logits.narrow(0, from, count),
                    targets.narrow(0, from, count),
                    weights.defined() ? weights.narrow(0, from, count) : weights,
                    normaliser,
                    losses.narrow(0, from, count));
        }
        CudaCrossEntropy.sum(losses, normaliser, loss);
        return loss;
    }

    @Test
    void crossEntropyWithoutAPositionIsNotANumberAndItsGradientZero() {
        try (TensorScope scope = new TensorScope()) {
            Tensor logits = gpu(normal(new Random(1), 3, 50));
            Tensor targets = gpu(Tensors.of(new long[] {IGNORED, IGNORED, IGNORED}, 3), ScalarType.Long);
            Tensor loss = lossInChunks(logits, targets, ABSENT, 3);
            assertThat(Tensors.toFloats(loss)[0]).isNaN();
            assertThat(Tensors.toFloats(logits)).containsOnly(0f);
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
    void brokenLogitsMakeTheLossNotANumber(float broken) {
        try (TensorScope scope = new TensorScope()) {
            for (int vocabulary : List.of(50, 5000)) {
                Tensor logits = gpu(normal(new Random(1), 3, vocabulary));
                logits.narrow(0, 1, 1).narrow(1, 17, 1).fill_(new Scalar(broken));
                Tensor targets = gpu(Tensors.of(new long[] {1, 2, 3}, 3), ScalarType.Long);
                assertThat(Tensors.toFloats(lossInChunks(logits, targets, ABSENT, 3))[0])
                        .isNaN();
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 1", "33, 255, 13", "5000, 256, 128", "5000, 70000, 100", "100, 2, 384"})
    void embeddingEqualsLibtorchs(int positions, int vocabulary, int width) {
        for (ScalarType type : List.of(ScalarType.Float, ScalarType.BFloat16)) {
            try (TensorScope scope = new TensorScope()) {
                Random random = new Random(31L * positions + vocabulary);
                Tensor table = normal(random, vocabulary, width).to(type).to(ScalarType.Float);
                Tensor ids = Tensors.of(random.longs(positions, 0, vocabulary).toArray(), positions);
                Tensor dX = normal(random, positions, width).to(type).to(ScalarType.Float);
                Tensor leaf = leaf(table);
                Tensor expected = torch.embedding(leaf, ids);
                expected.mul(dX).sum().backward();

                Tensor onGpu = gpu(ids, ScalarType.Long);
                Tensor out = Tensors.emptyLike(onGpu, ScalarType.Float, positions, width);
                CudaEmbedding.forward(gpu(table, type), onGpu, out);
                Tensor dTable = gpu(table);
                CudaEmbedding.backward(gpu(dX, type), onGpu, dTable, CudaEmbedding.workspace(dTable, positions, width));

                close("rows", expected, out, 0, 0);
                close("gradient", leaf.grad().add(table), dTable, FLOAT, 1e-4);
            }
        }
    }

    @Test
    void adamWEqualsTheOneOfTheCpu() {
        try (TensorScope scope = new TensorScope()) {
            Random random = new Random(5);
            List<Parameter> parameters = new ArrayList<>();
            List<CudaAdamW.Entry> entries = new ArrayList<>();
            for (int size : List.of(1, 3, 768, 8192, 8193, 100_003)) {
                Tensor master = normal(random, size);
                Tensor onGpu = gpu(master);
                String name = size % 3 == 0 ? "layer.ssm.p" + size : "p" + size;
                parameters.add(new Parameter(name, master.requires_grad_(true), size % 2 == 0));
                entries.add(new CudaAdamW.Entry(
                        onGpu,
                        zeros(onGpu),
                        zeros(onGpu),
                        zeros(onGpu),
                        Tensors.emptyLike(onGpu, ScalarType.BFloat16, size),
                        size % 2 == 0,
                        parameters.getLast().greatestRate()));
            }
            CudaAdamW.Settings settings = new CudaAdamW.Settings(0.9, 0.95, 1e-8, 0.1, 1.0, 0.5, true);
            try (AdamW expected = new AdamW(parameters, new AdamW.Settings(0.9, 0.95, 1e-8, 0.1));
                    CudaAdamW actual = new CudaAdamW(entries, settings)) {
                Tensor loss = gpu(Tensors.of(new float[] {1}, 1));
                double norm = 0;
                for (int step = 1; step <= 3; step++) {
                    expected.zeroGradients();
                    for (int i = 0; i < entries.size(); i++) {
                        Tensor gradient = normal(random, entries.get(i).master().shape());
                        parameters.get(i).tensor().grad().add_(gradient);
                        entries.get(i).gradient().copy_(gradient);
                    }
                    expected.scaleGradients(0.5);
                    norm = expected.clip(1);
                    expected.step(0.01 / step);
                    actual.setRate(0.01 / step);
                    actual.step(loss);
                }
                entries.getFirst().gradient().fill_(new Scalar(1e30));
                actual.step(loss); // the norm overflows
                actual.step(gpu(Tensors.of(new float[] {Float.NaN}, 1)));

                assertThat(Tensors.toFloats(actual.steps())).containsExactly(3);
                assertThat(norm).isGreaterThan(1);
                for (int i = 0; i < entries.size(); i++) {
                    Tensor master = entries.get(i).master();
                    close("parameter " + i, parameters.get(i).tensor(), master, 2e-6, 2e-6);
                    close(
                            "copy " + i,
                            master.to(ScalarType.BFloat16).cpu(),
                            entries.get(i).copy(),
                            0,
                            0);
                    assertThat(Tensors.toFloats(entries.get(i).gradient())).containsOnly(0f);
                }
            }
        }
    }

    @Test
    void wrongTensorsAreNamed() {
        try (TensorScope scope = new TensorScope()) {
            Tensor x = gpu(normal(new Random(1), 4, 8));
            CudaRmsNorm norm = new CudaRmsNorm(gpu(normal(new Random(2), 8)), 1e-5);
            Tensor scale = Tensors.emptyLike(x, ScalarType.Float, 4);
            assertThatThrownBy(() -> norm.forward(x, Tensors.emptyLike(x, ScalarType.Float, 4, 9), scale))
                    .hasMessageContaining("normed has shape [4, 9], wanted [4, 8]");
            assertThatThrownBy(() -> norm.forward(x, Tensors.emptyLike(x, ScalarType.Half, 4, 8), scale))
                    .hasMessageContaining("normed is Half");
            assertThatThrownBy(() -> norm.forward(x.t().contiguous().t(), Tensors.emptyLike(x), scale))
                    .hasMessageContaining("x [4, 8] has stride");
            assertThatThrownBy(() -> norm.forward(x.cpu(), Tensors.emptyLike(x), scale))
                    .hasMessageContaining("on the CPU");
        }
    }

    private static Tensor zeros(Tensor like) {
        Tensor tensor = Tensors.emptyLike(like);
        tensor.zero_();
        return tensor;
    }

    private static Tensor leaf(Tensor tensor) {
        return tensor.to(ScalarType.Double).detach().requires_grad_(true);
    }

    private static Tensor gpu(Tensor tensor) {
        return tensor.defined() ? gpu(tensor, ScalarType.Float) : tensor;
    }

    private static Tensor gpu(Tensor tensor, ScalarType type) {
        return tensor.detach().to(new Device("cuda"), type);
    }

    private static Tensor normal(Random random, long... shape) {
        int count = 1;
        for (long size : shape) {
            count *= (int) size;
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return Tensors.of(values, shape);
    }

    private static void close(String what, Tensor expected, Tensor actual, double rtol, double atol) {
        float[] wanted = Tensors.toFloats(expected.detach().to(ScalarType.Float));
        float[] got = Tensors.toFloats(actual.detach().to(ScalarType.Float));
        assertThat(got).as(what).hasSameSizeAs(wanted);
        for (int i = 0; i < wanted.length; i++) {
            // Written so that NaN fails.
            if (!(Math.abs(wanted[i] - got[i]) <= atol + rtol * Math.abs(wanted[i]))) {
                throw new AssertionError(what + ", element " + i + ": expected " + wanted[i] + ", got " + got[i]);
            }
        }
    }
}
