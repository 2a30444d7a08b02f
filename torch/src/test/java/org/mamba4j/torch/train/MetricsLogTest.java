package org.mamba4j.torch.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsLogTest {
    @TempDir
    Path folder;

    @Test
    void whatWasAddedIsReadBack() throws IOException {
        List<Metrics> written = List.of(line(1), line(2), line(10));
        write(written);

        assertThat(MetricsLog.read(folder.resolve(MetricsLog.FILE))).isEqualTo(written);
    }

    @Test
    void linesAfterTheCheckpointAndATornOneAreDropped() throws IOException {
        write(List.of(line(1), line(2), line(3)));
        Path file = folder.resolve(MetricsLog.FILE);
        Files.writeString(file, "{\"step\":4,\"time_m", StandardOpenOption.APPEND);

        try (MetricsLog log = MetricsLog.open(folder, 2, true, 0)) {
            assertThat(log.history()).containsExactly(line(1), line(2));
            log.add(line(3));
        }

        assertThat(MetricsLog.read(file)).containsExactly(line(1), line(2), line(3));
        assertThat(Files.readString(file)).endsWith("}\n");
    }

    @Test
    void theEventFileOfAResumedRunIsThatOfAnUninterruptedOne() throws IOException {
        write(List.of(line(1), line(2), line(3), line(4)));
        byte[] uninterrupted = Files.readAllBytes(eventFile());

        try (MetricsLog log = MetricsLog.open(folder, 2, true, 99_000)) {
            log.add(line(3));
            log.add(line(4));
        }

        assertThat(Files.readAllBytes(eventFile())).isEqualTo(uninterrupted);
    }

    @Test
    void aNewRunStartsEmpty() throws IOException {
        write(List.of(line(1)));

        MetricsLog.open(folder, 0, false, 0).close();

        assertThat(MetricsLog.read(folder.resolve(MetricsLog.FILE))).isEmpty();
    }

    @Test
    void noFileHasNoMetrics() throws IOException {
        assertThat(MetricsLog.read(folder.resolve("none.jsonl"))).isEmpty();
    }

    private Path eventFile() throws IOException {
        try (var files = Files.list(folder.resolve(MetricsLog.EVENTS))) {
            List<Path> all = files.toList();
            assertThat(all).hasSize(1);
            return all.getFirst();
        }
    }

    private void write(List<Metrics> lines) throws IOException {
        try (MetricsLog log = MetricsLog.open(folder, 0, true, 1_000)) {
            for (Metrics line : lines) {
                log.add(line);
            }
        }
    }

    private static Metrics line(int step) {
        return new Metrics(step, step * 1_000L, Map.of(Metrics.TRAIN_LOSS, 1.0 / step));
    }
}
