package org.mamba4j.experiments;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What was measured before a run ended is there when it goes on. */
class SavedFiguresTest {
    private static TrainedPart part(String data) {
        return new TrainedPart(
                ModelRow.of("Mamba", "'model_type':'mamba','vocab_size':8,'hidden_size':8,'num_hidden_layers':1"),
                "",
                3,
                List.of(),
                "cpu",
                data,
                new LetterChain(8, 1, 1),
                (trained, run, figures) -> {});
    }

    @Test
    void areThereForTheSameRecipeOnly(@TempDir Path folder) {
        SavedFigures before = new SavedFigures(folder, part("one"), 100);
        assertThat(before.has("2^8", "accuracy")).isFalse();
        before.add("2^8", "accuracy", 0.5, 1);
        before.add("2^20", "accuracy", Double.NaN, 2); // impossible, and not to be tried again

        SavedFigures after = new SavedFigures(folder, part("one"), 100);
        assertThat(after.has("2^8", "accuracy")).isTrue();
        assertThat(after.has("2^20", "accuracy")).isTrue();
        assertThat(after.has("2^9", "accuracy")).isFalse();
        after.add("2^9", "accuracy", 0.25, 1);
        assertThat(after.results()).extracting(Result::setting).containsExactly("2^8", "2^20", "2^9");
        assertThat(after.results().getFirst()).isEqualTo(new Result("Mamba", "2^8", 3, "accuracy", 0.5, 1, 100));

        assertThat(new SavedFigures(folder, part("two"), 100).results()).isEmpty();
    }

    @Test
    void keepNothingWhereNothingIsKept(@TempDir Path folder) {
        Path absent = folder.resolve("absent");
        SavedFigures figures = new SavedFigures(absent, part("one"), 100);
        figures.add("", "accuracy", 1, 1);
        assertThat(figures.results()).hasSize(1);
        assertThat(Files.exists(absent)).isFalse();
    }
}
