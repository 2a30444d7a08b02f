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
    <C extends ModelConfig> C read(JsonValue value, String source, BiFunction<MambaConfig, E, C> maker) {
        JsonFields json = JsonFields.of(value, source);
        JsonObject.Builder rest = JsonObject.builder();
        ((JsonObject) value).fields().forEach((key, field) -> {
            if (key.equals("model_type")) {
                rest.put(key, MambaConfig.MODEL_TYPE);
            } else if (key.equals("architectures")) {
                checkArchitectures(json);
            } else if (!key.startsWith(prefix)) {
                rest.put(key, field);
            }
        });
        ConfigSchema<E>.Values values = schema.values();
        for (ConfigSchema.Field field : schema.fields()) {
            if (json.has(field.key())) {
                values.set(field.component(), field.read(json, field.key()));
            }
        }
        for (String key : json.unread()) {
            if (key.startsWith(prefix)) {
                throw new UserError(source + ": the key " + JsonText.quoted(key)
                        + " is unknown and may change what the model computes; remove it if it does not");
            }
        }
        MambaConfig mamba = MambaConfigReader.read(rest.build(), source);
        try {
            return maker.apply(mamba, values.make());
        } catch (UserError e) {
            throw new UserError(source + ": " + e.getMessage(), e); // the records know nothing of files
        }
    }

    private void checkArchitectures(JsonFields json) {
        for (JsonValue one : json.array("architectures")) {
            if (!one.equals(new JsonString(architecture))) {
                throw json.error("architectures", "must name " + architecture);
            }
        }
    }
}
