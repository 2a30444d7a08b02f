package org.mamba4j.tasks;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.JsonText;

/**
 * The files of a retrieval task: an array of {@link RetrievalResult.Cell}s, and the map of them.
 *
 * @param json figures
 * @param png picture
 */
public record RetrievalReport(Path json, Path png) {
    /**
     * Reports into {@code json} and a picture beside it; {@link #write} makes their folder if it does not exist.
     *
     * @throws UserError if they cannot be written: known before anything is measured, and nothing is made for it
     */
    public static RetrievalReport at(Path json) {
        return new RetrievalReport(json, PerplexityReport.picture(json));
    }

    /** @throws UserError if a file cannot be written */
    public void write(RetrievalResult result, String title) {
        Path folder = Objects.requireNonNull(json.toAbsolutePath().getParent());
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UserError(
                    "cannot make the folder " + folder + " (" + AtomicFile.reason(e, folder) + "): give another one",
                    e);
        }
        AtomicFile.writeString(json, JsonText.pretty(result.toJson()) + "\n");
        ByteBuffer picture = ByteBuffer.wrap(RetrievalChart.png(result, title));
        AtomicFile.write(png, channel -> {
            while (picture.hasRemaining()) {
                channel.write(picture);
            }
        });
    }
}
