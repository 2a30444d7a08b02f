package org.mamba4j.model;

import java.util.List;
import java.util.function.BiFunction;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonString;
import org.mamba4j.json.JsonText;
import org.mamba4j.json.JsonValue;

/**
 * config.json of a family that is a Mamba and something more: the Mamba's keys, and beside them those of a record, which
 * all begin alike.
 *
 * @param modelType of the family
 * @param architecture of the family
 * @param prefix of the record's keys
 * @param schema of the record
 */
record MambaExtension<E extends Record>(String modelType, String architecture, String prefix, ConfigSchema<E> schema) {

    JsonObject write(MambaConfig mamba, E extension) {
        JsonObject.Builder json = JsonObject.builder();
        mamba.toJson()
                .fields()
                .forEach((key, value) -> json.put(
                        key,
                        switch (key) {
                            case "architectures" -> new JsonArray(List.of(new JsonString(architecture)));
                            case "model_type" -> new JsonString(modelType);
                            default -> value;
                        }));
        schema.toJson(extension).build().fields().forEach(json::put);
        return json.build();
    }

    /** The keys that do not begin with {@link #prefix} are a Mamba's and read as such. */
    <C extends Record> C read(JsonValue value, String source, BiFunction<MambaConfig, E, C> maker) {
        JsonFields json = JsonFields.of(value, source);
        JsonObject.Builder rest = JsonObject.builder();
        ((JsonObject) value).fields().forEach((key, field) -> {
            if (key.equals("model_type")) {
                rest.put(key, MambaConfig.MODEL_TYPE);
            } else if (key.equals("architectures")) {
                ConfigJson.checkArchitectures(json, architecture);
            } else if (!key.startsWith(prefix)) {
                rest.put(key, field);
            }
        });
        ConfigSchema<E>.Values values = ConfigJson.values(schema, json);
        for (String key : json.unread()) {
            if (key.startsWith(prefix)) {
                throw new UserError(source + ": the key " + JsonText.quoted(key)
                        + " is unknown and may change what the model computes; remove it if it does not");
            }
        }
        MambaConfig mamba = MambaConfigReader.read(rest.build(), source);
        return ConfigJson.make(() -> maker.apply(mamba, values.make()), source);
    }
}
