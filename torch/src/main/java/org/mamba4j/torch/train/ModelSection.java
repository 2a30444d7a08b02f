package org.mamba4j.torch.train;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonBoolean;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonValue;
import org.mamba4j.model.ConfigSchema;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.ModelFamily;

/**
 * What is to be trained: the keys of config.json that the family has, as its configuration record defines them, but for
 * the vocabulary, which comes from the tokenizer.
 *
 * @param type family of the model
 * @param padVocabularyTo the embedding's rows are padded to a multiple of this
 * @param fields value by key of config.json, all keys of the family; a list with commas
 */
public record ModelSection(
        @Describe(value = "family of the model", byDefault = "mamba")
        ModelFamily type,

        @Describe(
                value = "the embedding's rows are padded to a multiple of this",
                byDefault = "8",
                unit = "rows",
                min = 1,
                max = 1024)
        int padVocabularyTo,

        Map<String, String> fields) {

    /** The key that a training configuration does not have. */
    private static final String VOCABULARY = "vocab_size";

    /** Between the items of a list. */
    static final String COMMA = ", ";

    /** The items of a list as a text has them. */
    static List<String> items(String text) {
        return Arrays.stream(text.split(",", -1)).map(String::strip).toList();
    }

    /** The fields that a section of a family has. */
    static List<ConfigSchema.Field> fieldsOf(ModelFamily family) {
        return family.fields().stream()
                .filter(field -> !field.key().equals(VOCABULARY))
                .toList();
    }

    /**
     * The value of a key that is not given. A text here has no marks for its beginning and end, unless the configuration
     * says so: token 0, the model's own default, is an ordinary one in most vocabularies, and generation would stop at it.
     */
    static String byDefault(ConfigSchema.Field field) {
        return field.key().endsWith("_token_id")
                ? Integer.toString(MambaConfig.NO_TOKEN)
                : field.definition().otherwise();
    }

    /** Copies {@code fields}. */
    public ModelSection {
        fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
    }

    /**
     * The model's configuration.
     *
     * @param tokens size of the tokenizer's vocabulary
     * @throws UserError if a value is of the wrong type, out of its bounds, or two do not fit together
     */
    public ModelConfig config(int tokens) {
        JsonObject.Builder json = JsonObject.builder()
                .put("model_type", type.modelType())
                .put(VOCABULARY, (long) Math.ceilDiv(tokens, padVocabularyTo) * padVocabularyTo);
        for (ConfigSchema.Field field : fieldsOf(type)) {
            String text = String.valueOf(fields.get(field.key()));
            // Left out, the default stands for itself: some cannot be written in config.json (an automatic rank).
            if (field.isRequired() || !text.equals(field.definition().otherwise())) {
                json.put(field.key(), json(field, text));
            }
        }
        return ModelConfig.fromJson(json.build(), "model");
    }

    /** A value as config.json has it; what is no number stays a text, for the configuration's own complaint. */
    private static JsonValue json(ConfigSchema.Field field, String text) {
        if (field.type() == boolean.class && (text.equals("true") || text.equals("false"))) {
            return JsonBoolean.of(text.equals("true"));
        }
        List<JsonValue> items =
                items(text).stream().<JsonValue>map(JsonString::new).toList();
        if (field.type() == List.class && items.size() > 1) {
            return new JsonArray(items);
        }
        try {
            if (field.type() == int.class) {
                return JsonNumber.of(Long.parseLong(text));
            }
            if (field.type() == double.class) {
                return JsonNumber.of(Double.parseDouble(text));
            }
        } catch (NumberFormatException e) {
            return new JsonString(text);
        }
        return new JsonString(text);
    }
}
