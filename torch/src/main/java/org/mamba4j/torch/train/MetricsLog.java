package org.mamba4j.torch.train;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.mamba4j.checkpoint.AtomicFile;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The measured numbers of a run: {@code metrics.jsonl}, one line per measurement, and TensorBoard's event file, which
 * is made from it. When a run is resumed, lines of steps after its checkpoint (and a torn last one) are dropped, so
 * that every step stands there once, whatever happened in between.
 */
final class MetricsLog implements AutoCloseable {
    static final String FILE = "metrics.jsonl";
    static final String EVENTS = "tensorboard";
    private static final JsonMapper JSON = JsonMapper.shared();

    private final @Nullable FileChannel lines;
    private final @Nullable EventFile events;
    private final List<Metrics> history;

    private MetricsLog(@Nullable FileChannel lines, @Nullable EventFile events, List<Metrics> history) {
        this.lines = lines;
        this.events = events;
        this.history = history;
    }

    /**
     * Opens the metrics of a run folder.
     *
     * @param step lines after this step are dropped; 0 drops all
     * @param nowMillis wall clock, milliseconds since 1970
     */
    static MetricsLog open(Path runFolder, int step, boolean tensorboard, long nowMillis) throws IOException {
        Path file = runFolder.resolve(FILE);
        List<Metrics> kept = read(file).stream().filter(m -> m.step() <= step).toList();
        StringBuilder text = new StringBuilder();
        kept.forEach(m -> text.append(line(m)));
        AtomicFile.writeString(file, text.toString());
        @Nullable EventFile events = tensorboard ? events(runFolder.resolve(EVENTS), kept, nowMillis) : null;
        FileChannel lines = FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        return new MetricsLog(lines, events, new ArrayList<>(kept));
    }

    /** Metrics that are kept in memory only. */
    static MetricsLog unwritten() {
        return new MetricsLog(null, null, new ArrayList<>());
    }

    private static EventFile events(Path folder, List<Metrics> kept, long nowMillis) throws IOException {
        Files.createDirectories(folder);
        try (DirectoryStream<Path> old = Files.newDirectoryStream(folder, "events.out.tfevents.*")) {
            for (Path file : old) {
                Files.delete(file);
            }
        }
        long start = kept.isEmpty() ? nowMillis : kept.getFirst().timeMillis();
        EventFile events = new EventFile(folder.resolve("events.out.tfevents." + start / 1000 + ".mamba4j"), start);
        for (Metrics m : kept) {
            events.scalars(m.step(), m.timeMillis(), m.values());
        }
        return events;
    }

    /** All measurements of the run so far, in order. */
    List<Metrics> history() {
        return Collections.unmodifiableList(history);
    }

    void add(Metrics metrics) throws IOException {
        if (lines != null) {
            ByteBuffer bytes = ByteBuffer.wrap(line(metrics).getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                lines.write(bytes);
            }
        }
        if (events != null) {
            events.scalars(metrics.step(), metrics.timeMillis(), metrics.values());
        }
        history.add(metrics);
    }

    /** Waits until everything is on the disk, so that no checkpoint is newer than its metrics. */
    void force() throws IOException {
        if (lines != null) {
            lines.force(true);
        }
    }

    private static String line(Metrics metrics) {
        ObjectNode line = JSON.createObjectNode();
        line.put("step", metrics.step());
        line.put("time_ms", metrics.timeMillis());
        metrics.values().forEach(line::put);
        return JSON.writeValueAsString(line) + "\n";
    }

    /**
     * Reads the metrics of a run; no file, no metrics. Reading ends at the first line that is not whole: only the last
     * one can be torn.
     *
     * @param file a metrics.jsonl
     */
    static List<Metrics> read(Path file) throws IOException {
        List<Metrics> all = new ArrayList<>();
        if (!Files.exists(file)) {
            return all;
        }
        String text = Files.readString(file, StandardCharsets.UTF_8);
        int from = 0;
        for (int end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
            try {
                all.add(parse(JSON.readTree(text.substring(from, end))));
            } catch (JacksonException e) {
                return all;
            }
            from = end + 1;
        }
        return all;
    }

    private static Metrics parse(JsonNode line) {
        Map<String, Double> values = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> field : line.properties()) {
            if (!field.getKey().equals("step") && !field.getKey().equals("time_ms")) {
                values.put(field.getKey(), field.getValue().asDouble());
            }
        }
        return new Metrics(
                line.required("step").asInt(), line.required("time_ms").asLong(), values);
    }

    @Override
    public void close() throws IOException {
        if (lines != null) {
            lines.close();
        }
        if (events != null) {
            events.close();
        }
    }
}
