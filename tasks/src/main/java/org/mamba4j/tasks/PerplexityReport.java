package org.mamba4j.tasks;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * The files of an evaluation: {@code perplexity.json}, which is {@link PerplexityResult} field by field, and {@code
 * perplexity.png}.
 *
 * @param json figures
 * @param png picture
 */
public record PerplexityReport(Path json, Path png) {
    /**
     * Reports into {@code folder}, which {@link #write} makes if it does not exist.
     *
     * @throws UserError if it cannot be written to: known before anything is measured, and nothing is made for it
     */
    public static PerplexityReport in(Path folder) {
        AtomicFile.checkFolder(folder);
        return new PerplexityReport(folder.resolve("perplexity.json"), folder.resolve("perplexity.png"));
    }

    /**
     * Reports into {@code json} and a picture beside it; {@link #write} makes their folder if it does not exist.
     *
     * @throws UserError if they cannot be written: known before anything is measured, and nothing is made for it
     */
    public static PerplexityReport at(Path json) {
        return new PerplexityReport(json, picture(json));
    }

    /** The picture beside a file of figures, both of which can be written. */
    static Path picture(Path json) {
        String name = Objects.toString(json.toAbsolutePath().getFileName(), "");
        if (!name.endsWith(".json")) {
            throw new UserError("the file for the figures is " + json + ", but must end in .json");
        }
        Path folder = Objects.requireNonNull(json.toAbsolutePath().getParent());
        AtomicFile.checkFolder(folder);
        return folder.resolve(name.substring(0, name.length() - 5) + ".png");
    }

    /**
     * Writes one model's figures as an object, several models' as an array of objects, each with its model's name.
     *
     * @param models at least one, measured on the same windows
     * @throws UserError if a file cannot be written
     */
    public void write(List<ModelPerplexity> models) {
        AtomicFile.makeFolderOf(json);
        JsonMapper mapper =
                JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();
        Object figures = models.size() == 1 ? models.getFirst().result() : models;
        AtomicFile.writeString(json, mapper.writeValueAsString(figures) + "\n");
        Pictures.write(png, () -> PerplexityChart.png(models));
    }
}
