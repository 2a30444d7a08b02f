package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SelectiveCopyingExperimentTest {
    private static final double CHANCE = 1.0 / 14;

    @Test
    void aSelectiveLayerLearnsItInSeconds(@TempDir Path folder) {
        ExperimentRun.Outcome outcome = new Smoke(new SelectiveCopyingExperiment(), folder).run();

        assertThat(outcome.left()).isEmpty();
        double[] mamba = outcome.results().values("Mamba + S6", "", SelectiveCopyingExperiment.TOKENS);
        assertThat(mamba).hasSize(1);
        assertThat(mamba[0]).isBetween(5 * CHANCE, 1.0);
        for (String model : outcome.results().models()) {
            double tokens = outcome.results().values(model, "", SelectiveCopyingExperiment.TOKENS)[0];
            double sequences = outcome.results().values(model, "", SelectiveCopyingExperiment.SEQUENCES)[0];
            assertThat(sequences).as(model).isBetween(0.0, tokens);
        }
        // A row that cannot be computed stays in the table, and is named.
        assertThat(outcome.results().models().size() + outcome.missing().size()).isEqualTo(9);
        assertThat(outcome.findings().tables().getFirst().rows()).hasSize(9);
    }

    @Test
    void stagesFollowEachOther() {
        LetterChain early = new LetterChain(4, 1, 1);
        LetterChain late = new LetterChain(8, 1, 1);
        Staged staged = new Staged(List.of(new Staged.Stage(0, early), new Staged.Stage(3, late)));
        assertThat(staged.batch(2).length()).isEqualTo(4);
        assertThat(staged.batch(3).inputs()).isEqualTo(late.batch(3).inputs());
        assertThat(staged.vocabSize()).isEqualTo(256);
    }
}
