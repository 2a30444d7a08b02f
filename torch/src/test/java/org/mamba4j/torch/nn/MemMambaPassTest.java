package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.kernel.TrainedWeight;

/**
 * The hand-written sweep of a MemMamba against libtorch's autograd on the CPU: loss with the price of notes, all gradients,
 * thresholds and statistics. Skipped where there is no GPU.
 */
@Tag("gpu")
class MemMambaPassTest {
    private static final int BATCH = 3;
    private static final int LENGTH = 70;
    private static final double SHARE = 0.3;
    private static final double PRICE = 0.7;

    @BeforeAll
    static void needsGpu() {
        Gpu.require();
    }

    /** What one sweep gave. */
    private record Result(float loss, Map<String, float[]> tensors, List<MemoryTraining.Statistics> statistics) {}

    private static MemoryTraining.Controls controls(int capacity, boolean dense, double exploration) {
        return new MemoryTraining.Controls(capacity, dense, exploration, 5, true);
    }

    static Stream<Arguments> cases() {
        MemoryConfig plain = small().build();
        Stream<Arguments> policies = Stream.of(
                        controls(LENGTH, true, 0),
                        controls(9, true, 0),
                        controls(LENGTH, false, 0),
                        controls(3, false, 0),
                        controls(1, false, 0),
                        controls(5, false, 0.2),
                        controls(2, false, 1))
                .map(controls -> Arguments.of(plain, controls));
        Stream<Arguments> variants = Stream.of(
                        small().replacement("fifo"),
                        small().crossToken(false),
                        small().crossLayer(false),
                        small().firstLayer(1).crossLayerPeriod(3),
                        small().readThreshold(0.5),
                        small().chunkSize(1),
                        small().chunkSize(64),
                        small().chunkSize(LENGTH + 1),
                        small().chunkSize(16).summarySize(64),
                        small().summarySize(8))
                .map(memory -> Arguments.of(memory.build(), controls(7, false, 0)));
        return Stream.concat(policies, variants);
    }

    private static MemoryConfig.Builder small() {
        return MemoryModels.memory();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void lossAndGradientsEqualAutograd(MemoryConfig memory, MemoryTraining.Controls controls) {
        MemMambaConfig config = MemoryModels.config(memory);
        assertClose(byPass(config, controls, Precision.FLOAT32, 1), byAutograd(config, controls), 2e-4);
    }

    /** With widths as they are in use; 8,192 tokens and more candidates than a block takes. */
    @Test
    void largerModelsEqualAutograd() {
        MemMambaConfig config = larger(MemoryConfig.builder());
        MemoryTraining.Controls hard = controls(50, false, 0.05);
        assertClose(byPass(config, hard, Precision.FLOAT32, 9), byAutograd(config, hard, 9), 3e-4);
        MemoryTraining.Controls dense = controls(512, true, 0);
        Result exact = byAutograd(config, dense, 9);
        assertClose(byPass(config, dense, Precision.FLOAT32, 9), exact, 3e-4);
        assertClose(byPass(config, dense, Precision.BFLOAT16, 9), exact, 5e-2);
    }

    @Test
    void smallerNotesInTheUpperLayersEqualAutograd() {
        MemMambaConfig config = larger(MemoryConfig.builder().firstLayer(3).summarySize(32));
        MemoryTraining.Controls hard = controls(50, false, 0.05);
        Result exact = byAutograd(config, hard, 9);
        assertClose(byPass(config, hard, Precision.FLOAT32, 9), exact, 3e-4);
        // Below the first memory all that comes back has been rounded in two layers more: 5.4 % of a bias on an H200.
        assertClose(byPass(config, hard, Precision.BFLOAT16, 9), exact, 8e-2);
    }

    private static MemMambaConfig larger(MemoryConfig.Builder memory) {
        return new MemMambaConfig(
                MambaConfig.builder()
                        .vocabSize(MemoryModels.VOCABULARY)
                        .dModel(64)
                        .nLayer(4)
                        .build(),
                memory.crossLayerPeriod(2).build());
    }

    @Test
    void theSameCallGivesTheSameBits() {
        MemMambaConfig config = larger(MemoryConfig.builder());
        MemoryTraining.Controls controls = controls(50, false, 0.1);
        Result first = byPass(config, controls, Precision.BFLOAT16, 9);
        Result second = byPass(config, controls, Precision.BFLOAT16, 9);
        assertThat(second.loss).isEqualTo(first.loss);
        first.tensors.forEach(
                (name, values) -> assertThat(second.tensors.get(name)).as(name).isEqualTo(values));
    }

    private static void assertClose(Result actual, Result expected, double tolerance) {
        assertThat(actual.statistics).hasSameSizeAs(expected.statistics);
        for (int i = 0; i < expected.statistics.size(); i++) {
            MemoryTraining.Statistics want = expected.statistics.get(i);
            MemoryTraining.Statistics got = actual.statistics.get(i);
            assertThat(got.layer()).isEqualTo(want.layer());
            assertThat(got.noteRate()).as("note rate").isCloseTo(want.noteRate(), within(tolerance));
            assertThat(got.meanGate()).as("mean gate").isCloseTo(want.meanGate(), within(tolerance));
            assertThat(got.meanScore()).as("mean score").isCloseTo(want.meanScore(), within(10 * tolerance));
            same("attention on notes", got.attentionOnNotes(), want.attentionOnNotes(), tolerance);
            same("attention below", got.attentionBelow(), want.attentionBelow(), tolerance);
        }
        assertThat((double) actual.loss).isCloseTo(expected.loss, within(tolerance * Math.abs(expected.loss)));
        expected.tensors.forEach((name, gradient) -> {
            float[] found = actual.tensors.getOrDefault(name, new float[0]);
            assertThat(found).as(name).hasSameSizeAs(gradient);
            double largest = Math.max(1e-6, Math.max(largest(gradient), sizeOfTerms(name, expected)));
            for (int i = 0; i < gradient.length; i++) {
                assertThat((double) found[i])
                        .as(name + "[" + i + "] of at most " + largest)
                        .isCloseTo(gradient[i], within(tolerance * largest));
            }
        });
    }

    private static double largest(float[] values) {
        double largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }

    /**
     * What rounding is relative to where the number itself may be near zero. The gradient of a lone bias is a sum whose terms
     * cancel; those of its weights are as large as the terms. A threshold moves 0.1 of the way to a score of about 1.
     */
    private static double sizeOfTerms(String name, Result of) {
        if (name.endsWith("threshold itself")) {
            return MemoryTraining.THRESHOLD_WEIGHT;
        }
        return name.endsWith("score_out.bias") || name.endsWith("gate.bias")
                ? largest(of.tensors.getOrDefault(name.replace(".bias", ".weight"), new float[0]))
                : 0;
    }

    private static void same(String what, double actual, double expected, double tolerance) {
        assertThat(Double.isNaN(actual)).as(what).isEqualTo(Double.isNaN(expected));
        if (!Double.isNaN(expected)) {
            assertThat(actual).as(what).isCloseTo(expected, within(tolerance));
        }
    }

    private static Result byAutograd(MemMambaConfig config, MemoryTraining.Controls controls) {
        return byAutograd(config, controls, 1);
    }

    private static MemMamba model(MemMambaConfig config, MambaKernels kernels) {
        MemMamba model = MemoryModels.randomised(MemMamba.create(config, kernels, 4), 4);
        for (Parameter parameter : model.parameters()) {
            if (config.dModel() > 8 && MambaInit.isMemory(parameter) && parameter.decays()) {
                TensorScope.run(
                        () -> parameter.tensor().detach().mul_(new Scalar(0.3))); // else attention is all or nothing
            }
        }
        return model;
    }

    private static Result byAutograd(MemMambaConfig config, MemoryTraining.Controls controls, int factor) {
        try (MemMamba model = model(config, MambaKernels.fused())) {
            return TensorScope.call(() -> {
                MemoryTraining training = new MemoryTraining(controls);
                Tensor loss = model.loss(tokens(1, factor), tokens(2, factor), weights(factor), training)
                        .add(training.notePrice(SHARE), new Scalar(PRICE));
                loss.backward();
                Map<String, float[]> tensors = new LinkedHashMap<>();
                for (Parameter parameter : model.parameters()) {
                    Tensor tensor = parameter.tensor();
                    tensors.put(
                            parameter.name(),
                            tensor.grad().defined()
                                    ? Tensors.toFloats(tensor.grad())
                                    : new float[(int) tensor.numel()]);
                    if (parameter.name().endsWith("threshold")) {
                        tensors.put(parameter.name() + " itself", Tensors.toFloats(tensor));
                    }
                }
                return new Result(loss.item_float(), tensors, training.statistics());
            });
        }
    }

    private static Result byPass(
            MemMambaConfig config, MemoryTraining.Controls controls, Precision precision, int factor) {
        try (MemMamba model = model(config, MambaKernels.cuda("cuda", precision))) {
            assertThat(MambaPass.covers(model)).isTrue();
            for (Parameter parameter : model.parameters()) {
                Tensor tensor = parameter.tensor();
                TensorScope.run(() -> tensor.mutable_grad().put(torch.zeros_like(tensor.detach())));
            }
            try (MambaPass pass = new MambaPass(model, false)) {
                return TensorScope.call(() -> run(pass, controls, factor));
            }
        }
    }

    private static Result run(MambaPass pass, MemoryTraining.Controls controls, int factor) {
        Tensor loss = Tensors.on("cuda", Tensors.zeros(1));
        pass.memories()
                .prepare(
                        new MemoryTraining(controls),
                        SHARE,
                        PRICE,
                        (long) BATCH * LENGTH * factor,
                        (long) LENGTH * factor);
        pass.run(
                Tensors.on("cuda", tokens(1, factor)),
                Tensors.on("cuda", tokens(2, factor)),
                Tensors.on("cuda", weights(factor)),
                loss,
                false,
                name -> {});
        Map<String, float[]> tensors = new LinkedHashMap<>();
        for (Map.Entry<String, TrainedWeight> weight : pass.weights().entrySet()) {
            tensors.put(weight.getKey(), Tensors.toFloats(weight.getValue().gradient()));
            if (weight.getKey().endsWith("threshold")) {
                tensors.put(
                        weight.getKey() + " itself",
                        Tensors.toFloats(weight.getValue().value()));
            }
        }
        return new Result(loss.item_float(), tensors, pass.memories().statistics());
    }

    private static Tensor tokens(long seed, int factor) {
        return Tensors.ofTokens(MemoryModels.text(BATCH * LENGTH * factor, seed), 0, BATCH, (long) LENGTH * factor);
    }

    private static Tensor weights(int factor) {
        SplittableRandom random = new SplittableRandom(3);
        float[] weights = new float[BATCH * LENGTH * factor];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = random.nextInt(4) / (float) weights.length;
        }
        return Tensors.of(weights, BATCH, (long) LENGTH * factor);
    }
}
