package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mamba4j.torch.nn.MemoryTraining;

class NoteMetricsTest {
    private final List<String> lines = new ArrayList<>();
    private final NoteMetrics metrics = new NoteMetrics(
            new TrainListener() {
                @Override
                public void note(String line) {
                    lines.add(line);
                }
            },
            0.065);

    private Map<String, Double> add(double progress, double rate, double below) {
        Map<String, Double> values = new LinkedHashMap<>();
        metrics.add(List.of(new MemoryTraining.Statistics(3, rate, 0.5, -1, 0.25, below)), progress, values);
        return values;
    }

    @Test
    void whatIsNotReadIsNotWritten() {
        assertThat(add(0.5, 0.1, Double.NaN))
                .isEqualTo(Map.of(
                        "layers.3.note_rate", 0.1,
                        "layers.3.mean_gate", 0.5,
                        "layers.3.mean_score", -1.0,
                        "layers.3.attention_on_notes", 0.25));
        assertThat(add(0.5, 0.1, 0.75)).containsEntry("layers.3.attention_below", 0.75);
        assertThat(lines).isEmpty();
    }

    @Test
    void aMemoryThatDoesNotChooseIsToldOncePerKind() {
        add(0.01, 1, 0);
        assertThat(lines).as("the dense phase notes everything").isEmpty();
        add(0.2, 1, 0);
        add(0.21, 1, 0);
        add(0.6, 0, 0);
        add(0.61, 0, 0);
        assertThat(lines).hasSize(2);
        assertThat(lines.getFirst()).startsWith("warning: layer 3 notes every token");
        assertThat(lines.getLast()).startsWith("warning: layer 3 notes no token");
    }

    @Test
    void aRunWritesThemForEveryLayerWithAMemory(@TempDir Path folder) throws IOException {
        String[] model = {"model.type=memmamba", "model.memory_chunk_size=8", "model.memory_pool_size=4"};
        Trainer.train(TinyRuns.config(folder, "run", model), TrainListener.SILENT);
        List<Metrics> trained = Metrics.of(folder.resolve("run")).stream()
                .filter(m -> !Double.isNaN(m.get(Metrics.TRAIN_LOSS)))
                .toList();
        assertThat(trained).hasSize(12).allSatisfy(m -> {
            assertThat(m.get("layers.1.note_rate")).isBetween(0.0, 1.0);
            assertThat(m.get("layers.1.mean_gate")).isBetween(0.0, 1.0);
            assertThat(m.get("layers.1.attention_on_notes")).isBetween(0.0, 1.0);
            assertThat(m.values())
                    .doesNotContainKey("layers.0.note_rate")
                    .doesNotContainKey("layers.1.attention_below");
        });
        assertThat(trained.getFirst().get("layers.1.note_rate")).as("dense").isEqualTo(1);
    }
}
