package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import org.mamba4j.UserError;
import org.mamba4j.model.DecimationConfig;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/**
 * A model to measure.
 *
 * @param name for tables: of the folder that was named
 * @param checkpoint its folder; found once, as while a run trains its best checkpoint changes
 * @param reading how its weights are read
 */
record ModelChoice(String name, Path checkpoint, Reading reading) {
    /** What stands behind a folder's name to switch notes off. */
    private static final String WITHOUT_NOTES = ":notes-off";

    /** What stands between a folder's name and what is to be left out of long texts. */
    private static final String DECIMATED = ":decimate:";

    /** How {@link #parse} reads models, for help texts. */
    static final String SYNTAX = "DIR, DIR" + WITHOUT_NOTES + " for a MemMamba that reads nothing of its notes, or DIR"
            + DECIMATED + DecimationConfig.SYNTAX + " for a Mamba with --decimate";

    /**
     * @param folder a checkpoint or a run
     * @throws UserError if it is neither
     */
    static ModelChoice of(Path folder, Reading reading) {
        String name = Objects.toString(folder.toAbsolutePath().normalize().getFileName(), "model");
        return new ModelChoice(name + reading.mark(), ModelOptions.checkpoint(folder), reading);
    }

    /** Reads what {@link #SYNTAX} describes. */
    static ModelChoice parse(String text) {
        int decimated = text.indexOf(DECIMATED);
        if (decimated >= 0) {
            String decimation = text.substring(decimated + DECIMATED.length());
            return of(Path.of(text.substring(0, decimated)), new Reading.Decimated(DecimationConfig.parse(decimation)));
        }
        return text.endsWith(WITHOUT_NOTES)
                ? of(Path.of(text.substring(0, text.length() - WITHOUT_NOTES.length())), Notes.OFF)
                : of(Path.of(text), Notes.ON);
    }

    Tokenizer tokenizer() {
        return Tokenizers.load(checkpoint);
    }

    /** @throws UserError unless this model reads the same tokens as one with {@code tokenizer} */
    void checkTokenizer(Tokenizer tokenizer) {
        String probe = "Does 1 tokenizer read what 2 do? é";
        if (!Arrays.equals(tokenizer.encode(probe), tokenizer().encode(probe))) {
            throw new UserError("the model in " + checkpoint
                    + " has another tokenizer: only models that read the same tokens compare");
        }
    }
}
