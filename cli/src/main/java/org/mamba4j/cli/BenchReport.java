package org.mamba4j.cli;

import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;
import org.mamba4j.torch.bench.Machine;

/** What was measured where, when and of which commit, as JSON. */
final class BenchReport {
    private final JsonObject.Builder head = JsonObject.builder();
    private final List<JsonValue> rows = new ArrayList<>();

    /** @param what the benchmark's name */
    BenchReport(String what, String device, Machine machine) {
        String date = LocalDate.now(ZoneOffset.UTC).toString();
        head.put("benchmark", what)
                .put("date", date)
                .put("commit", RootCommand.Version.commit())
                .put("device", device)
                .put("name", machine.name())
                .put("driver", machine.driver())
                .put("units", machine.units());
        System.out.printf(
                Locale.ROOT,
                "%s, %d %s, %s, commit %s, %s%n",
                machine.name(),
                machine.units(),
                device.equals("cpu") ? "threads" : "multiprocessors",
                device.equals("cpu") ? machine.driver() : "driver " + machine.driver(),
                RootCommand.Version.commit(),
                date);
    }

    /** A figure of all rows. */
    BenchReport put(String key, double value) {
        head.put(key, value);
        return this;
    }

    void row(JsonObject row) {
        rows.add(row);
    }

    void write(Path file) {
        head.put("rows", new JsonArray(rows));
        AtomicFile.writeString(file, JsonText.pretty(head.build()) + "\n");
    }
}
