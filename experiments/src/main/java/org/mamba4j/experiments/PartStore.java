package org.mamba4j.experiments;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/**
 * Where finished parts lie: a file each, so that several processes, on several machines even, can share the work of an
 * experiment, and a folder of files copied together is an experiment again.
 *
 * @param folder of the files
 * @param scale parts of other scales do not count
 */
record PartStore(Path folder, Scale scale) {
    /**
     * A finished part.
     *
     * @param recipe of the part
     * @param machine that it ran on
     * @param date when it ended, as ISO 8601 has it
     * @param seconds that it took
     */
    record Stored(String recipe, String machine, String date, double seconds, List<Result> results) {}

    private String name(Part part) {
        String name = scale.label() + "-" + part.model() + "-" + part.setting() + "-seed" + part.seed();
        return name.replaceAll("[^A-Za-z0-9.^+-]+", "_");
    }

    private Path file(Part part) {
        return folder.resolve(name(part) + ".json");
    }

    /** Where a part keeps what it needs to go on. */
    Path unfinished(Part part) {
        return folder.resolve(name(part) + ".unfinished");
    }

    /** The part's result, if it is there and of the same recipe. */
    Optional<Stored> read(Part part) {
        Path file = file(part);
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        JsonFields json = JsonFields.of(Json.read(file), file.toString());
        List<Result> results = json.array("rows").stream()
                .map(row -> Result.parse(JsonFields.of(row, file.toString())))
                .toList();
        Stored stored = new Stored(
                json.string("recipe"), json.string("machine"), json.string("date"), json.decimal("seconds"), results);
        return Optional.of(stored).filter(one -> one.recipe().equals(part.recipe()));
    }

    void write(Part part, Stored stored) {
        Path file = file(part);
        AtomicFile.makeFolderOf(file);
        JsonObject json = JsonObject.builder()
                .put("recipe", stored.recipe())
                .put("machine", stored.machine())
                .put("date", stored.date())
                .put("seconds", stored.seconds())
                .put("rows", rows(stored.results()))
                .build();
        AtomicFile.writeString(file, JsonText.pretty(json) + "\n");
        delete(unfinished(part));
    }

    static JsonArray rows(List<Result> results) {
        return new JsonArray(results.stream().<JsonValue>map(Result::toJson).toList());
    }

    private static void delete(Path folder) {
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
