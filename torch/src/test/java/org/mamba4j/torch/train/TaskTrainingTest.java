package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.UserError;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.model.MambaConfig;

class TaskTrainingTest {
    private static final MambaConfig MODEL =
            MambaConfig.builder().vocabSize(16).dModel(8).nLayer(2).build();
    private static final List<String> SETTINGS = List.of(
            "seed=5",
            "threads=1",
            "optimiser.lr=1e-2",
            "schedule.shape=constant",
            "schedule.warmup_steps=0",
            "schedule.steps=40");

    /** Repeat what stood two places before. */
    private record Echo(int vocabSize) implements BatchSource {
        @Override
        public Batch batch(long index) {
            int[] inputs = new Random(index).ints(4 * 12L, 0, 8).toArray();
            int[] targets = new int[inputs.length];
            float[] weights = new float[inputs.length];
            for (int i = 0; i < inputs.length; i++) {
                if (i % 12 >= 2) {
                    targets[i] = inputs[i - 2];
                    weights[i] = 1f / 40;
                }
            }
            return Batch.weighted(4, inputs, targets, weights);
        }

        @Override
        public long batchesPerEpoch() {
            return Long.MAX_VALUE;
        }
    }

    @Test
    void goesOnBitForBitWhereItWasSaved(@TempDir Path folder) {
        Echo echo = new Echo(16);
        double last = 0;
        try (TaskTraining whole = new TaskTraining(MODEL, SETTINGS, echo)) {
            double first = whole.advance();
            while (whole.step() < whole.steps()) {
                last = whole.advance();
            }
            assertThat(last).isLessThan(first);
            assertThat(whole.parameters()).isEqualTo(MODEL.parameterCount());
        }
        assertThat(TaskTraining.isSaved(folder.resolve("kept"))).isFalse();
        try (TaskTraining begun = new TaskTraining(MODEL, SETTINGS, echo)) {
            while (begun.step() < 17) {
                begun.advance();
            }
            begun.save(folder.resolve("kept"));
        }
        assertThat(TaskTraining.isSaved(folder.resolve("kept"))).isTrue();
        try (TaskTraining resumed = new TaskTraining(MODEL, SETTINGS, echo)) {
            resumed.load(folder.resolve("kept"));
            assertThat(resumed.step()).isEqualTo(17);
            assertThat(resumed.seconds()).isGreaterThan(0);
            double loss = 0;
            while (resumed.step() < resumed.steps()) {
                loss = resumed.advance();
            }
            assertThat(loss).isEqualTo(last);
            Answers answers = resumed.answers(echo.batch(1000));
            assertThat(answers.tokens()).isEqualTo(40);
            assertThat(answers.answers()).isEqualTo(4);
        }
    }

    @Test
    void saysWhatDoesNotFit() {
        assertThatThrownBy(() -> new TaskTraining(MODEL, SETTINGS, new Echo(17)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("17")
                .hasMessageContaining("16");
        assertThatThrownBy(() -> new TaskTraining(MODEL, List.of("optimiser.speed=1"), new Echo(16)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("optimiser.speed");
    }
}
