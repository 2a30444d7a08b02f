package org.mamba4j.tasks;

import java.nio.file.Path;
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
        AtomicFile.makeFolderOf(json);
        AtomicFile.writeString(json, JsonText.pretty(result.toJson()) + "\n");
        Pictures.write(png, () -> RetrievalChart.png(result, title));
    }
}
