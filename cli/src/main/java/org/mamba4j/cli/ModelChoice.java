package org.mamba4j.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import org.mamba4j.UserError;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.text.Tokenizers;

/**
 * A model to measure.
 *
 * @param name for tables: of the folder that was named
 * @param checkpoint its folder; found once, as while a run trains its best checkpoint changes
 * @param notes whether it reads its notes, if it takes some
 */
record ModelChoice(String name, Path checkpoint, Notes notes) {
    /** What stands behind a folder's name to switch notes off. */
    private static final String WITHOUT_NOTES = ":notes-off";

    /** How {@link #parse} reads models, for help texts. */
    static final String SYNTAX = "DIR, or DIR" + WITHOUT_NOTES + " for a MemMamba that reads nothing of its notes";

    /**
     * @param folder a checkpoint or a run
     * @throws UserError if it is neither
     */
    static ModelChoice of(Path folder, Notes notes) {
        String name = Objects.toString(folder.toAbsolutePath().normalize().getFileName(), "model");
        return new ModelChoice(
                notes == Notes.OFF ? name + ", notes off" : name, ModelOptions.checkpoint(folder), notes);
    }

    /** Reads what {@link #SYNTAX} describes. */
    static ModelChoice parse(String text) {
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
