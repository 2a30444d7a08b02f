package org.mamba4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.AtomicFile;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/**
 * Where a report goes: one HTML page, and its figures beside it.
 *
 * @param page ends in .html
 */
record ReportFile(Path page) {
    /**
     * @param option that named the page, for messages
     * @throws UserError if {@code page} is no page, or cannot be written: known before anything is measured
     */
    static ReportFile of(String option, Path page) {
        if (!page.toString().endsWith(".html")) {
            throw new UserError(option + " " + page + ": must end in .html");
        }
        AtomicFile.checkFolder(Objects.requireNonNull(page.toAbsolutePath().getParent()));
        if (Files.isDirectory(page)) {
            throw new UserError(option + " " + page + ": is a folder; give the name of a file");
        }
        return new ReportFile(page);
    }

    /** Writes both, and makes the folder. */
    void write(String html, JsonValue json) {
        AtomicFile.makeFolderOf(page);
        AtomicFile.writeString(page, html);
        AtomicFile.writeString(figures(), JsonText.pretty(json) + "\n");
    }

    /** Tells what was written, on standard error. */
    void tell() {
        System.err.println(Terminal.STDERR.dim("written: " + page + ", " + figures()));
    }

    private Path figures() {
        return page.resolveSibling(Objects.toString(page.getFileName(), "").replaceAll("\\.html$", ".json"));
    }
}
