package org.mamba4j.experiments;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonText;

/**
 * The figures of a trained model that have been measured so far, kept beside its weights: asking about texts of hundreds of
 * thousands of tokens can take longer than the training, and is not to be done twice because time was up in between.
 */
final class SavedFigures implements TrainedPart.Figures {
    private final Path folder;
    private final Path file;
    private final TrainedPart part;
    private final long parameters;
    private final List<Result> results = new ArrayList<>();

    /**
     * Those that a run of the same recipe has left in {@code folder}.
     *
     * @param folder where the part keeps what it needs to go on; if it is not there, nothing is kept
     */
    SavedFigures(Path folder, TrainedPart part, long parameters) {
        this.folder = folder;
        this.file = folder.resolve("figures.json");
        this.part = part;
        this.parameters = parameters;
        if (Files.exists(file)) {
            JsonFields json = JsonFields.of(Json.read(file), file.toString());
            if (json.string("recipe").equals(part.recipe())) {
                json.array("rows").forEach(row -> results.add(Result.parse(JsonFields.of(row, file.toString()))));
            }
        }
    }

    @Override
    public boolean has(String setting, String metric) {
        return results.stream()
                .anyMatch(result ->
                        result.setting().equals(setting) && result.metric().equals(metric));
    }

    @Override
    public void add(String setting, String metric, double value, double seconds) {
        results.add(new Result(part.model(), setting, part.seed(), metric, value, seconds, parameters));
        if (Files.isDirectory(folder)) {
            JsonObject json = JsonObject.builder()
                    .put("recipe", part.recipe())
                    .put("rows", PartStore.rows(results))
                    .build();
            AtomicFile.writeString(file, JsonText.pretty(json) + "\n");
        }
    }

    /** All of them, in the order of measuring. */
    List<Result> results() {
        return List.copyOf(results);
    }
}
