package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.HashSet;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.MemMamba;
import org.mamba4j.torch.nn.MemoryTraining;

class MemoryCourseTest {
    private static final MemoryCourse COURSE =
            new MemoryCourse(50, new TrainConfig.Notes(0.2, 512, 0.065, 0.7, 0.35, 0.1));

    @Test
    void itBeginsDenseAndFree() {
        assertThat(COURSE.at(0, 512)).isEqualTo(new MemoryCourse.Stage(512, true, 1, 0, 0));
        assertThat(COURSE.at(0.0649, 512).dense()).isTrue();
    }

    @Test
    void thenNotesGetAPriceThatRises() {
        MemoryCourse.Stage first = COURSE.at(0.065, 1024);
        assertThat(first).isEqualTo(new MemoryCourse.Stage(512, false, 1, 0.2, 0));
        assertThat(COURSE.at((0.065 + 0.33) / 2, 1024).freeShare()).isCloseTo(Math.sqrt(0.06), within(1e-9));
        assertThat(COURSE.at(0.32999, 1024).freeShare()).isCloseTo(0.06, within(1e-4));
    }

    @Test
    void thenThePoolShrinksToItsSize() {
        assertThat(COURSE.at(0.33, 1024).capacity()).isEqualTo(512);
        assertThat(COURSE.at(0.41, 2048).capacity()).isEqualTo((int) Math.round(Math.sqrt(512 * 50)));
        assertThat(COURSE.at(0.4899, 2048).capacity()).isBetween(50, 51);
        assertThat(COURSE.at(0.41, 2048).freeShare()).isCloseTo(0.7 * 50 / 2048, within(1e-12));
    }

    @Test
    void inTheEndOnlyTheScoreCounts() {
        assertThat(COURSE.at(0.5, 2048).exploration()).isCloseTo(0.1 * 50 / 2048, within(1e-12));
        assertThat(COURSE.at(0.8299, 8192).exploration()).isPositive();
        assertThat(COURSE.at(0.83, 8192)).isEqualTo(new MemoryCourse.Stage(50, false, 0.35 * 50 / 8192, 0.2, 0));
        assertThat(COURSE.at(1, 10).freeShare()).as("a short text").isEqualTo(1);
    }

    @Test
    void thePriceIsAddedToTheLoss() {
        MemMambaConfig config = new MemMambaConfig(
                MambaConfig.builder().vocabSize(20).dModel(8).nLayer(2).build(), MemoryConfig.DEFAULTS);
        try (MemMamba model = MemMamba.create(config, MambaKernels.fused(), 1)) {
            TensorScope.run(() -> {
                MemoryCourse.Stage stage = COURSE.at(0.4, 100);
                MemoryTraining training = stage.training(3);
                Tensor ids = Tensors.ofTokens(new int[200], 0, 2, 100);
                Tensor loss = model.loss(ids, ids, training);
                double price = training.notePrice(stage.freeShare()).item_float();
                assertThat(price).isPositive();
                assertThat((double) stage.priced(loss, training).item_float())
                        .isCloseTo(loss.item_float() + 0.2 * price, within(1e-5));
                assertThat(COURSE.at(0, 100).priced(loss, training)).isSameAs(loss);
            });
        }
    }

    @Test
    void runsBatchesAndLayersExploreIndependently() {
        int rows = 4;
        int length = 4096;
        Set<Long> runs = new HashSet<>();
        int streams = 0;
        for (int run = 1; run <= 4; run++) {
            for (int batch = 0; batch < 3; batch++) {
                MemoryTraining training = new MemoryTraining(
                        new MemoryTraining.Controls(50, false, 0.5, MemoryCourse.seed(run, batch), true));
                for (int layer = 0; layer < 2; layer++) {
                    streams++;
                    addRuns(explored(training, layer, rows, length), runs);
                }
            }
        }
        assertThat(runs).hasSize(streams * (rows * length - Long.SIZE + 1));
    }

    private static float[] explored(MemoryTraining training, int layer, int rows, int length) {
        return TensorScope.call(() -> Tensors.toFloats(training.explored(layer, rows, length)));
    }

    /** Adds every 64 tokens that follow each other, as bits. */
    private static void addRuns(float[] chosen, Set<Long> runs) {
        long bits = 0;
        for (int i = 0; i < chosen.length; i++) {
            bits = bits << 1 | (chosen[i] == 0 ? 0 : 1);
            if (i >= Long.SIZE - 1) {
                runs.add(bits);
            }
        }
    }

    @Test
    void aRecipeCanLeavePartsOut() {
        MemoryCourse hard = new MemoryCourse(50, new TrainConfig.Notes(0, 1, 0, 0.7, 0.7, 0));
        assertThat(hard.at(0, 1024)).as("neither dense nor soft").isEqualTo(new MemoryCourse.Stage(50, false, 1, 0, 0));
        assertThat(hard.at(0.4, 1024).capacity()).isEqualTo(50);
        assertThat(hard.at(0.6, 1024).exploration()).isZero();
        assertThat(new MemoryCourse(50, new TrainConfig.Notes(0.2, 512, 0.2, 0.7, 0.7, 0.5))
                        .at(0.19, 512)
                        .dense())
                .isTrue();
    }
}
