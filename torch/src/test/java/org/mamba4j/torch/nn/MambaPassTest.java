package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.TrainedWeight;

/** The hand-written sweep against libtorch's autograd on the CPU, in float32. Skipped where there is no GPU. */
@Tag("gpu")
class MambaPassTest {
    private static final int BATCH = 3;
    private static final int LENGTH = 70;

    @BeforeAll
    static void needsGpu() {
        Gpu.require();
    }

    private static MambaConfig config(String options) {
        return MambaConfig.builder()
                .vocabSize(264)
                .dModel(48)
                .nLayer(3)
                .tieEmbeddings(!options.contains("untied"))
                .useBias(options.contains("bias"))
                .useConvBias(!options.contains("bare"))
                .build();
    }

    /** Loss and gradients by name. */
    private record Result(float loss, Map<String, float[]> gradients) {}

    @ParameterizedTest
    @CsvSource({
        "plain, FLOAT32, 2e-4",
        "untied bias, FLOAT32, 2e-4",
        "bare weighted, FLOAT32, 2e-4",
        "recompute, FLOAT32, 2e-4",
        "weighted untied recompute twice, FLOAT32, 2e-4",
        "plain, BFLOAT16, 4e-2",
        "untied bias weighted twice, BFLOAT16, 4e-2"
    })
    void lossAndGradientsEqualAutograd(String options, Precision precision, double tolerance) {
        MambaConfig config = config(options);
        Result expected = byAutograd(config, options);
        assertClose(byPass(config, options, precision), expected, tolerance);
    }

    private static void assertClose(Result actual, Result expected, double tolerance) {
        assertThat(actual.loss).isCloseTo(expected.loss, org.assertj.core.data.Offset.offset((float) tolerance));
        expected.gradients.forEach((name, gradient) -> {
            float[] found = actual.gradients.getOrDefault(name, new float[0]);
            assertThat(found).as(name).hasSameSizeAs(gradient);
            double largest = 1e-6;
            for (float value : gradient) {
                largest = Math.max(largest, Math.abs(value));
            }
            for (int i = 0; i < gradient.length; i++) {
                assertThat((double) found[i])
                        .as(name + "[" + i + "]")
                        .isCloseTo(gradient[i], org.assertj.core.data.Offset.offset(tolerance * largest));
            }
        });
    }

    @Test
    void theSameCallGivesTheSameBits() {
        MambaConfig config = config("plain");
        Result first = byPass(config, "plain", Precision.BFLOAT16);
        Result second = byPass(config, "plain", Precision.BFLOAT16);
        assertThat(second.loss).isEqualTo(first.loss);
        first.gradients.forEach((name, gradient) ->
                assertThat(second.gradients.get(name)).as(name).isEqualTo(gradient));
    }

    @Test
    void withinAnAutogradNetworkItGivesTheSameGradients() {
        MemMambaConfig config = MemoryModels.config(
                MemoryConfig.builder().chunkSize(16).poolSize(5).build());
        Result expected = ofMemory(config, MambaKernels.composed(), false);
        Result actual = ofMemory(config, MambaKernels.cuda(), true);
        assertClose(actual, expected, 2e-4);
    }

    private static Result ofMemory(MemMambaConfig config, MambaKernels kernels, boolean fused) {
        try (MemMamba model = MemoryModels.randomised(MemMamba.create(config, kernels, 4), 4)) {
            for (Parameter parameter : model.parameters()) {
                Tensor tensor = parameter.tensor();
                if (fused) {
                    TensorScope.run(() -> tensor.mutable_grad().put(torch.zeros_like(tensor.detach())));
                }
            }
            return TensorScope.call(() -> {
                int[] text = MemoryModels.text(2 * 80, 7);
                Tensor loss = model.loss(Tensors.ofTokens(text, 0, 2, 79), Tensors.ofTokens(text, 1, 2, 79));
                loss.backward();
                Map<String, float[]> gradients = new LinkedHashMap<>();
                for (Parameter parameter : model.parameters()) {
                    if (parameter.tensor().grad().defined()) {
                        gradients.put(
                                parameter.name(),
                                Tensors.toFloats(parameter.tensor().grad()));
                    }
                }
                return new Result(loss.item_float(), gradients);
            });
        }
    }

    private static Result byAutograd(MambaConfig config, String options) {
        try (Mamba model = Mamba.create(config, MambaKernels.composed(), 4)) {
            return TensorScope.call(() -> {
                Tensor loss = options.contains("weighted")
                        ? model.loss(inputs(), targets(), weights())
                        : model.loss(inputs(), targets());
                loss.backward();
                if (options.contains("twice")) {
                    (options.contains("weighted")
                                    ? model.loss(inputs(), targets(), weights())
                                    : model.loss(inputs(), targets()))
                            .backward();
                }
                Map<String, float[]> gradients = new LinkedHashMap<>();
                for (Parameter parameter : model.parameters()) {
                    gradients.put(
                            parameter.name(),
                            Tensors.toFloats(parameter.tensor().grad()));
                }
                return new Result(loss.item_float(), gradients);
            });
        }
    }

    private static Result byPass(MambaConfig config, String options, Precision precision) {
        try (Mamba model = Mamba.create(config, MambaKernels.cuda("cuda", precision), 4)) {
            for (Parameter parameter : model.parameters()) {
                Tensor tensor = parameter.tensor();
                TensorScope.run(() -> tensor.mutable_grad().put(torch.empty_like(tensor.detach())));
            }
            try (MambaPass pass = new MambaPass(model, options.contains("recompute"))) {
                return TensorScope.call(() -> run(pass, options));
            }
        }
    }

    private static Result run(MambaPass pass, String options) {
        Tensor loss = Tensors.on("cuda", Tensors.zeros(1));
        Tensor weights = options.contains("weighted") ? Tensors.on("cuda", weights()) : Tensors.absent();
        List<String> ready = new ArrayList<>();
        int times = options.contains("twice") ? 2 : 1;
        for (int i = 0; i < times; i++) {
            boolean add = i > 0;
            pass.run(Tensors.on("cuda", inputs()), Tensors.on("cuda", targets()), weights, loss, add, ready::add);
        }
        Map<String, float[]> gradients = new LinkedHashMap<>();
        for (Map.Entry<String, TrainedWeight> weight : pass.weights().entrySet()) {
            gradients.put(weight.getKey(), Tensors.toFloats(weight.getValue().gradient()));
            assertThat(ready).anyMatch(name -> weight.getKey().startsWith(name));
        }
        return new Result(loss.item_float(), gradients);
    }

    private static Tensor inputs() {
        return tokens(1);
    }

    private static Tensor targets() {
        return tokens(2);
    }

    private static Tensor tokens(long seed) {
        return Tensors.of(
                new Random(seed).ints(BATCH * LENGTH, 0, 256).asLongStream().toArray(), BATCH, LENGTH);
    }

    private static Tensor weights() {
        Random random = new Random(3);
        float[] weights = new float[BATCH * LENGTH];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = random.nextInt(4);
        }
        return Tensors.of(weights, BATCH, LENGTH);
    }
}
