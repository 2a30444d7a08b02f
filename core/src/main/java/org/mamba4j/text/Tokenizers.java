package org.mamba4j.text;

import java.nio.file.Files;
import java.nio.file.Path;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.GgufFile;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;

/**
 * Where tokenizers come from, and how a checkpoint folder says which one its model was trained with:
 *
 * <ul>
 *   <li>{@code tokenizer.json}, the file of the Hugging Face tokenizers library: byte-level BPE;
 *   <li>else {@code tokenizer_config.json} with {@code "tokenizer_class": "bytes"}: one token per byte, for which there
 *       is no other file;
 *   <li>a GGUF file has it in its metadata, see {@link GgufTokenizer};
 *   <li>none of these: an error. Nothing is guessed from the size of the vocabulary.
 * </ul>
 */
public final class Tokenizers {
    static final String FILE = "tokenizer.json";
    static final String CONFIG_FILE = "tokenizer_config.json";
    static final String BYTES_CLASS = "bytes";
    private static final long MAX_CONFIG_BYTES = 16 << 20;

    private static final Tokenizer BYTES = new ByteTokenizer();

    private Tokenizers() {}

    /** One token per byte; 256 of them. */
    public static Tokenizer bytes() {
        return BYTES;
    }

    /**
     * The tokenizer of a checkpoint.
     *
     * @param path a checkpoint folder, a GGUF file, or a tokenizer.json itself
     * @throws UserError if there is none, it cannot be read, is damaged, or of a kind that is not supported
     */
    public static Tokenizer load(Path path) {
        if (!Files.exists(path)) {
            throw new UserError(path + " does not exist: give a checkpoint folder, a GGUF file or a tokenizer.json");
        }
        if (GgufFile.isOne(path)) {
            try (GgufFile file = GgufFile.open(path)) {
                return GgufTokenizer.read(file);
            }
        }
        if (!Files.isDirectory(path)) {
            return TokenizerJson.read(Json.readBytes(path, Json.MAX_FILE_BYTES), path.toString());
        }
        Path file = path.resolve(FILE);
        if (Files.exists(file)) {
            return TokenizerJson.read(Json.readBytes(file, Json.MAX_FILE_BYTES), file.toString());
        }
        Path config = path.resolve(CONFIG_FILE);
        if (Files.exists(config)) {
            JsonFields fields = JsonFields.of(
                    Json.parse(Json.readBytes(config, MAX_CONFIG_BYTES), config.toString()), config.toString());
            String name = fields.optional("tokenizer_class", fields::string, "");
            if (name.equals(BYTES_CLASS)) {
                return BYTES;
            }
        }
        throw new UserError(
                path + " has no tokenizer: put the model's " + FILE + " there or, for a model over bytes, a "
                        + CONFIG_FILE + " with {\"tokenizer_class\": \"" + BYTES_CLASS + "\"}");
    }
}
