package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.mamba4j.data.Batch;
import org.mamba4j.data.BatchSource;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemoryTraining;
import org.mamba4j.torch.parallel.Ranks;

/** Recorded steps of a MemMamba, through all parts of its course, against steps by autograd. Skipped without a GPU. */
@Tag("gpu")
class MemoryDescentTest {
    private static final int STEPS = 40;
    private static final int VOCABULARY = 29;

    private static MemMambaConfig model() {
        return new MemMambaConfig(
                MambaConfig.builder().vocabSize(VOCABULARY).dModel(32).nLayer(4).build(),
                MemoryConfig.builder()
                        .chunkSize(16)
                        .poolSize(5)
                        .summarySize(16)
                        .crossLayerPeriod(2)
                        .build());
    }

    private static TrainConfig config() {
        return TrainConfig.ofDefaults(List.of(
                "device=cuda",
                "schedule.steps=" + STEPS,
                "schedule.warmup_steps=5",
                "optimiser.lr=1e-3",
                "notes.dense=64",
                "notes.price=0.3",
                "metrics.every=1",
                "seed=3"));
    }

    /** Sequences that repeat themselves, of 64 tokens and later of 96. */
    private static final BatchSource SOURCE = new BatchSource() {
        @Override
        public Batch batch(long index) {
            int length = index < STEPS / 2 ? 64 : 96;
            SplittableRandom random = new SplittableRandom(index);
            int[] inputs = new int[8 * length];
            int[] targets = new int[inputs.length];
            for (int i = 0; i < inputs.length; i++) {
                inputs[i] = i % length < 8 ? random.nextInt(VOCABULARY) : inputs[i - 8];
                targets[Math.max(0, i - 1)] = inputs[i];
            }
            return Batch.of(8, inputs, targets);
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

    @Test
    void recordedStepsAreThoseOfAutograd() {
        Gpu.require();
        List<Double> expected = new ArrayList<>();
        List<List<MemoryTraining.Statistics>> expectedNotes = new ArrayList<>();
        try (LanguageNetwork network = LanguageNetwork.create(model(), MambaKernels.cuda(), 3);
                AutogradDescent descent = new AutogradDescent(network, config(), Ranks.alone())) {
            for (int step = 0; step < STEPS; step++) {
                expected.add(descent.step(step, SOURCE).loss());
                expectedNotes.add(descent.notes());
            }
        }
        try (LanguageNetwork network = LanguageNetwork.create(model(), MambaKernels.cuda(), 3);
                GraphDescent descent =
                        GraphDescent.of(network, config(), Ranks.alone()).orElseThrow()) {
            for (int step = 0; step < STEPS; step++) {
                Descent.Step done = descent.step(step, SOURCE);
                assertThat(done.loss()).as("step %d", step).isCloseTo(expected.get(step), within(5e-3));
                assertThat(descent.notes()).hasSameSizeAs(expectedNotes.get(step));
                for (int i = 0; i < descent.notes().size(); i++) {
                    MemoryTraining.Statistics want = expectedNotes.get(step).get(i);
                    MemoryTraining.Statistics got = descent.notes().get(i);
                    assertThat(got.noteRate()).as("note rate, step %d", step).isCloseTo(want.noteRate(), within(2e-2));
                    assertThat(got.meanGate()).as("mean gate, step %d", step).isCloseTo(want.meanGate(), within(5e-3));
                }
            }
        }
    }
}
