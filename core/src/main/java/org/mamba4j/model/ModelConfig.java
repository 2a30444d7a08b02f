package org.mamba4j.model;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.json.Json;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;

/**
 * The configuration of one model family: everything that fixes the shapes of its parameters, the function that it
 * computes and how it is initialised, and nothing about training. A record per family; sizes that follow from others
 * are methods.
 */
public sealed interface ModelConfig permits MambaConfig, MemMambaConfig {
    /** The file in a checkpoint folder that holds the configuration. */
    String FILE_NAME = "config.json";

    /** Greatest config.json that is read, in bytes. */
    long MAX_FILE_BYTES = 1 << 20;

    /** The configuration of its blocks: itself, or that of the Mamba which it extends. */
    MambaConfig mamba();

    /** Name of the family as {@code model_type} of config.json has it, for example {@code mamba}. */
    String modelType();

    /** Rows of the embedding, padding included; the width of the logits. */
    int vocabSize();

    /** Width of the residual stream (d). */
    int dModel();

    /** Number of blocks. */
    int nLayer();

    /** The same model with an embedding and a head of {@code rows} rows. */
    ModelConfig withVocabSize(int rows);

    /** The embedding, one of the parameters; it is the head too where the two are tied. */
    TensorSpec embedding();

    /** Token that ends a text: generation stops at it; negative where there is none. */
    int eosTokenId();

    /** Every parameter with its shape, in the order of the forward pass; a tied head is not listed. */
    List<TensorSpec> parameters();

    /** Every part of the state of one sequence, float32, with its shape; it does not depend on what was read. */
    List<TensorSpec> stateTensors();

    /** The configuration as Hugging Face's config.json has it. */
    JsonObject toJson();

    /** Number of parameters; a tied head counts once. */
    default long parameterCount() {
        return TensorSpec.elements(parameters());
    }

    /** Bytes of the state of one sequence. */
    default long stateBytes() {
        return Float.BYTES * TensorSpec.elements(stateTensors());
    }

    /**
     * Reads a configuration of any family, in Hugging Face's or state-spaces' spelling.
     *
     * @param path config.json or the folder that holds it
     * @throws UserError if it is missing, damaged, or asks for something that this project does not compute
     */
    static ModelConfig read(Path path) {
        Path file = Files.isDirectory(path) ? path.resolve(FILE_NAME) : path;
        return fromJson(Json.parse(Json.readBytes(file, MAX_FILE_BYTES), file.toString()), file.toString());
    }

    /**
     * A configuration of any family.
     *
     * @param json an object, in Hugging Face's or state-spaces' spelling
     * @param source where it comes from, for messages
     * @throws UserError if it is damaged or asks for something that this project does not compute
     */
    static ModelConfig fromJson(JsonValue json, String source) {
        return ModelFamily.of(JsonFields.of(json, source)).read(json, source);
    }
}
