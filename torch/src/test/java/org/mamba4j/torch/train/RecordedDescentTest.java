package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MambaUNetConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.PoolingConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.Precision;
import org.mamba4j.torch.nn.FamilyConfigs;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.parallel.Ranks;

/** Steps recorded and replayed against the same steps launched one by one, every family. Skipped without a GPU. */
@Tag("gpu")
class RecordedDescentTest {
    private static final int STEPS = 12;
    private static final int VOCABULARY = FamilyConfigs.VOCABULARY;

    static Stream<ModelConfig> configs() {
        MambaUNetConfig unet = new MambaUNetConfig(
                MambaConfig.builder().vocabSize(VOCABULARY).dModel(16).nLayer(1).build(), new PoolingConfig(1, 4, 2));
        return Stream.concat(FamilyConfigs.all(), Stream.of(unet));
    }

    private static TrainConfig config(String... more) {
        List<String> settings = new ArrayList<>(List.of(
                "device=cuda",
                "schedule.steps=" + STEPS,
                "schedule.warmup_steps=2",
                "optimiser.lr=2e-3",
                "optimiser.weight_decay=0.1"));
        settings.addAll(List.of(more));
        return TrainConfig.ofDefaults(settings);
    }

    /** Sequences that repeat themselves: of 32 tokens, of 48 from the middle on, and then a part of each counts. */
    private static final BatchSource SOURCE = new BatchSource() {
        @Override
        public Batch batch(long index) {
            boolean late = index >= STEPS / 2;
            int length = late ? 48 : 32;
            SplittableRandom random = new SplittableRandom(index);
            int[] inputs = new int[4 * length];
            int[] targets = new int[inputs.length];
            float[] weights = new float[inputs.length];
            for (int i = 0; i < inputs.length; i++) {
                inputs[i] = i % length < 8 ? random.nextInt(VOCABULARY) : inputs[i - 8];
                targets[Math.max(0, i - 1)] = inputs[i];
                weights[i] = i % length < 9 ? 0 : 1f / inputs.length;
            }
            return late ? Batch.weighted(4, inputs, targets, weights) : Batch.of(4, inputs, targets);
        }

        @Override
        public long batchesPerEpoch() {
            return 1000;
        }

        @Override
        public int vocabSize() {
            return VOCABULARY;
        }
    };

    @ParameterizedTest
    @MethodSource("configs")
    void recordedStepsAreThoseOfAutograd(ModelConfig model) {
        Gpu.require();
        compare(model, MambaKernels.cuda(), config(), 1e-4);
    }

    @ParameterizedTest
    @MethodSource("configs")
    void gradientsOfSeveralBatchesAddUp(ModelConfig model) {
        Gpu.require();
        compare(
                model,
                MambaKernels.cuda("cuda", Precision.BFLOAT16),
                config("optimiser.accumulate=2", "precision=bfloat16"),
                1e-2);
    }

    private static void compare(ModelConfig model, MambaKernels kernels, TrainConfig config, double tolerance) {
        List<Descent.Step> expected = new ArrayList<>();
        try (LanguageNetwork network = LanguageNetwork.create(model, kernels, 3);
                AutogradDescent descent = new AutogradDescent(network, config, Ranks.alone())) {
            for (int step = 0; step < STEPS; step++) {
                expected.add(descent.step(step, SOURCE));
            }
        }
        try (LanguageNetwork network = LanguageNetwork.create(model, kernels, 3);
                GraphDescent descent =
                        GraphDescent.of(network, config, Ranks.alone()).orElseThrow()) {
            for (int step = 0; step < STEPS; step++) {
                Descent.Step want = expected.get(step);
                Descent.Step done = descent.step(step, SOURCE);
                assertThat(done.loss()).as("step %d", step).isCloseTo(want.loss(), within(tolerance * want.loss()));
                assertThat(done.gradientNorm())
                        .as("gradient of step %d", step)
                        .isCloseTo(want.gradientNorm(), within(20 * tolerance * want.gradientNorm()));
            }
            assertThat(descent.steps()).isEqualTo(STEPS);
        }
    }
}
