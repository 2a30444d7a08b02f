package org.mamba4j.torch.nn;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.NativeHeap;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

/** Training and generating do not grow: 2,000 steps of a model just large enough that one leaked tensor a step shows. */
class FlatMemoryTest {
    private static final int STEPS = 2_000;
    private static final int BATCH = 4;
    private static final int LENGTH = 64;

    /** What the JIT compiler may take for itself meanwhile, and give back. */
    private static final long TOLERANCE = 32 << 20;

    private static final MambaConfig CONFIG =
            MambaConfig.builder().vocabSize(64).dModel(16).nLayer(2).dState(8).build();

    @Test
    void trainingStepsLeaveNothingBehind() {
        try (Mamba model = Mamba.create(CONFIG, MambaKernels.fused(), 1)) {
            Random random = new Random(1);
            train(model, random, STEPS / 10);
            long objects = TensorScope.liveObjects();
            long bytes = NativeHeap.allocatedBytes();
            train(model, random, STEPS);
            assertThat(TensorScope.liveObjects()).as("native objects alive").isEqualTo(objects);
            // One leaked (B, L, D) tensor of 64 KiB a step would be 128 MiB by now; hooks are counted above.
            assertThat(NativeHeap.allocatedBytes() - bytes)
                    .as("bytes allocated in C")
                    .isLessThan(TOLERANCE);
        }
    }

    private static void train(Mamba model, Random random, int steps) {
        for (int step = 0; step < steps; step++) {
            TensorScope.run(() -> {
                int[] tokens =
                        random.ints(BATCH * LENGTH + 1L, 0, CONFIG.vocabSize()).toArray();
                Tensor inputs = Tensors.ofTokens(tokens, 0, BATCH, LENGTH);
                Tensor targets = Tensors.ofTokens(tokens, 1, BATCH, LENGTH);
                model.loss(inputs, targets).backward();
                NoGrad.run(() -> {
                    for (Parameter parameter : model.parameters()) {
                        Tensor gradient = parameter.tensor().grad();
                        parameter.tensor().add_(gradient, new Scalar(-1e-3f));
                        gradient.zero_();
                    }
                });
            });
        }
    }

    @Test
    void generatingLeavesNothingBehind() {
        try (TorchLanguageModel model = new TorchLanguageModel(Mamba.create(CONFIG, MambaKernels.fused(), 1));
                var state = model.newState()) {
            generate(model, state, STEPS / 10);
            long objects = TensorScope.liveObjects();
            long bytes = NativeHeap.allocatedBytes();
            generate(model, state, STEPS);
            assertThat(TensorScope.liveObjects()).as("native objects alive").isEqualTo(objects);
            // One leaked recurrent state of 32 KiB a step would be 64 MiB by now.
            assertThat(NativeHeap.allocatedBytes() - bytes)
                    .as("bytes allocated in C")
                    .isLessThan(TOLERANCE);
        }
    }

    private static void generate(TorchLanguageModel model, org.mamba4j.inference.State state, int steps) {
        for (int step = 0; step < steps; step++) {
            model.step(state, step % CONFIG.vocabSize());
            if (step % 10 == 0) {
                model.logits(state);
            }
        }
    }

    @Test
    void copiesLeaveNothingBehind() {
        try (TorchLanguageModel model = new TorchLanguageModel(Mamba.create(CONFIG, MambaKernels.fused(), 1));
                var state = model.newState()) {
            generate(model, state, 10);
            state.copy().close();
            long objects = TensorScope.liveObjects();
            for (int i = 0; i < STEPS; i++) {
                try (var copy = state.copy()) {
                    copy.reset();
                }
                if (i % 200 == 0) {
                    assertThat(TensorScope.liveObjects()).isEqualTo(objects);
                }
            }
            assertThat(TensorScope.liveObjects()).isEqualTo(objects);
        }
    }
}
