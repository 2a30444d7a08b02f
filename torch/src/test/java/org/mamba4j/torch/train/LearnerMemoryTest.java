package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.torch.NativeHeap;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.parallel.Ranks;

/** The step that trains, with optimiser, clipping and accumulation, does not grow over 2,000 of its kind. */
class LearnerMemoryTest {
    private static final int STEPS = 2_000;
    private static final int ROWS = 2;
    private static final int LENGTH = 32;

    /** What the JIT compiler may take for itself meanwhile, and give back. */
    private static final long TOLERANCE = 16 << 20;

    @TempDir
    Path folder;

    /** Tokens at random, other ones in each batch. */
    private record Noise() implements BatchSource {
        @Override
        public Batch batch(long index) {
            Random random = new Random(index);
            return Batch.of(ROWS, tokens(random), tokens(random));
        }

        private static int[] tokens(Random random) {
            return random.ints(ROWS * LENGTH, 0, 256).toArray();
        }

        @Override
        public long batchesPerEpoch() {
            return Long.MAX_VALUE;
        }

        @Override
        public int vocabSize() {
            return 256;
        }
    }

    @Test
    void trainingStepsLeaveNothingBehind() throws IOException {
        TrainConfig config = TinyRuns.config(
                folder,
                "run",
                "model.num_hidden_layers=1",
                "threads=1",
                "optimiser.accumulate=2",
                "optimiser.clip_norm=1e-5",
                "schedule.steps=10000");
        try (Learner learner = new Learner(config.model().config(256), config, Ranks.alone())) {
            train(learner, 0, STEPS / 10);
            long objects = TensorScope.liveObjects();
            long bytes = NativeHeap.allocatedBytes();
            train(learner, STEPS / 10, STEPS);
            assertThat(TensorScope.liveObjects()).as("native objects alive").isEqualTo(objects);
            // One leaked (B, L, D) tensor of 8 KiB a batch would be 32 MiB by now.
            assertThat(NativeHeap.allocatedBytes() - bytes)
                    .as("bytes allocated in C")
                    .isLessThan(TOLERANCE);
        }
    }

    private static void train(Learner learner, int from, int steps) {
        for (int step = from; step < from + steps; step++) {
            Descent.Step done = learner.step(step, new Noise());
            assertThat(done.gradientNorm()).isGreaterThan(1e-5); // clipping has something to do
            if (step % 100 == 0) {
                learner.evaluate(new Noise().batch(step));
            }
        }
    }
}
