package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AblationsExperimentTest {
    /** What a guess has. */
    private static final double BYTES = 256;

    @Test
    void everyVariantPredictsBetterThanAGuess(@TempDir Path folder) {
        ExperimentRun.Outcome outcome = new Smoke(new AblationsExperiment(), folder).run();

        assertThat(outcome.left()).isEmpty();
        assertThat(outcome.results().models()).contains("S6");
        for (String model : outcome.results().models()) {
            double[] perplexity = outcome.results().values(model, "", AblationsExperiment.PERPLEXITY);
            assertThat(perplexity).as(model).hasSize(1);
            assertThat(perplexity[0]).as(model).isBetween((double) LetterChain.CHOICES, BYTES / 4);
        }
        assertThat(outcome.results().values("S6", "", AblationsExperiment.PERPLEXITY)[0])
                .isLessThan(LetterChain.LETTERS);
        assertThat(outcome.results().models().size() + outcome.missing().size()).isEqualTo(15);
        List<ResultTable> tables = outcome.findings().tables();
        assertThat(tables).extracting(table -> table.rows().size()).containsExactly(5, 4, 8, 10, 8);
    }

    @Test
    void theChainIsOneOfTwoLettersAfterEach() {
        int[] inputs = new LetterChain(200, 4, 7).batch(1).inputs();
        assertThat(inputs).hasSize(800);
        for (int i = 1; i < 200; i++) {
            int expected = (7 * (inputs[i - 1] - 'a') + 3) % 26;
            assertThat(inputs[i] - 'a').isIn(expected, (expected + 1) % 26);
        }
    }
}
