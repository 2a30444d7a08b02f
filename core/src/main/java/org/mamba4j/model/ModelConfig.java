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
 *
 * <p>A new family is a record that implements this, a line in {@link ModelFamily}, and, to be computed, a network in the
 * module torch.
 */
public sealed interface ModelConfig
        permits MambaStack, ExtendedMamba, Mamba2Config, LlamaConfig, GptNeoxConfig, RecurrentConfig, ComposedConfig {
    /** The file in a checkpoint folder that holds the configuration. */
    String FILE_NAME = "config.json";

    /** Greatest config.json that is read, in bytes. */
    long MAX_FILE_BYTES = 1 << 20;

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

    /** The matrix that logits are made with, one of the parameters: the embedding where the two are tied. */
    TensorSpec head();

    /** Token that ends a text: generation stops at it; negative where there is none. */
    int eosTokenId();

    /** Every parameter with its shape, in the order of the forward pass; a tied head is not listed. */
    List<TensorSpec> parameters();

    /** Every part of the state of one sequence that has read nothing, float32, with its shape. */
    List<TensorSpec> stateTensors();

    /**
     * The same after {@code tokens} were read: the same names in the same order. Where a family remembers every token,
     * shapes grow with them; by default they do not.
     */
    default List<TensorSpec> stateTensors(long tokens) {
        return stateTensors();
    }

    /**
     * Whether files of this family may hold a tensor of that name which is no parameter and says nothing that the
     * configuration does not say, for example a mask.
     */
    default boolean isBuffer(String tensor) {
        return false;
    }

    /** The configuration as Hugging Face's config.json has it. */
    JsonObject toJson();

    /** Number of parameters; a tied head counts once. */
    default long parameterCount() {
        return TensorSpec.elements(parameters());
    }

    /** Bytes of the state of one sequence that has read nothing. */
    default long stateBytes() {
        return stateBytes(0);
    }

    /** Bytes of the state of one sequence after {@code tokens} were read. */
    default long stateBytes(long tokens) {
        return Float.BYTES * TensorSpec.elements(stateTensors(tokens));
    }

    /**
     * Reads a configuration of any family, in Hugging Face's or state-spaces' spelling.
     *
     * @param path config.json or the folder that holds it
     * @throws UserError if it is missing, damaged, or asks for something that this project does not compute
     */
    static ModelConfig read(Path path) {
        Path file = Files.isDirectory(path) ? path.resolve(FILE_NAME) : path;
        byte[] json = Mamba2ConfigReader.asJson(Json.readBytes(file, MAX_FILE_BYTES));
        return fromJson(Json.parse(json, file.toString()), file.toString());
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
