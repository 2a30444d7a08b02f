package org.mamba4j.json;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.mamba4j.UserError;

/**
 * Reads the fields of one object by type, and remembers which were asked for, so that the others can be named. Every
 * error says the source, the key, the value and what was expected. A field that is {@code null} counts as absent.
 */
public final class JsonFields {
    private final String source;
    private final String path;
    private final Map<String, JsonValue> fields;
    private final Set<String> asked = new LinkedHashSet<>();

    private JsonFields(String source, String path, JsonObject object) {
        this.source = source;
        this.path = path;
        this.fields = object.fields();
    }

    /**
     * @param value must be an object
     * @param source what the text is, for messages
     */
    public static JsonFields of(JsonValue value, String source) {
        if (value instanceof JsonObject object) {
            return new JsonFields(source, "", object);
        }
        throw new UserError(source + ": expected an object, found " + JsonText.shown(value));
    }

    /** Whether the field is there and not null; it counts as asked for. */
    public boolean has(String key) {
        asked.add(key);
        JsonValue value = fields.get(key);
        return value != null && value != JsonNull.NULL;
    }

    /** The field as it stands. */
    public JsonValue value(String key) {
        asked.add(key);
        JsonValue value = fields.get(key);
        if (value == null || value == JsonNull.NULL) {
            throw new UserError(source + ": the key " + name(key) + " is missing");
        }
        return value;
    }

    public String string(String key) {
        if (value(key) instanceof JsonString string) {
            return string.value();
        }
        throw error(key, "must be a string");
    }

    public boolean bool(String key) {
        if (value(key) instanceof JsonBoolean bool) {
            return bool.value();
        }
        throw error(key, "must be true or false");
    }

    /** An integer in [min, max]. */
    public long integer(String key, long min, long max) {
        if (value(key) instanceof JsonNumber number && number.isLong()) {
            long value = number.longValue();
            if (value >= min && value <= max) {
                return value;
            }
        }
        throw error(key, "must be an integer from " + min + " to " + max);
    }

    /** A finite number. */
    public double decimal(String key) {
        if (value(key) instanceof JsonNumber number && Double.isFinite(number.doubleValue())) {
            return number.doubleValue();
        }
        throw error(key, "must be a finite number");
    }

    public List<JsonValue> array(String key) {
        if (value(key) instanceof JsonArray array) {
            return array.values();
        }
        throw error(key, "must be an array");
    }

    public JsonFields object(String key) {
        if (value(key) instanceof JsonObject object) {
            return new JsonFields(source, path + key + ".", object);
        }
        throw error(key, "must be an object");
    }

    /** {@code reader.apply(key)} when the field is there and not null, else {@code otherwise}. */
    public <T> T optional(String key, Function<String, T> reader, T otherwise) {
        return has(key) ? reader.apply(key) : otherwise;
    }

    /** The keys that nobody asked for, in the order of the text. */
    public List<String> unread() {
        List<String> rest = new ArrayList<>();
        for (String key : fields.keySet()) {
            if (!asked.contains(key)) {
                rest.add(key);
            }
        }
        return rest;
    }

    /** All keys, in the order of the text. */
    public Set<String> keys() {
        return fields.keySet();
    }

    /** What the text is. */
    public String source() {
        return source;
    }

    /** An error about a field: "SOURCE: KEY is VALUE, but EXPECTED". */
    public UserError error(String key, String expected) {
        JsonValue value = fields.getOrDefault(key, JsonNull.NULL);
        return new UserError(source + ": " + name(key) + " is " + JsonText.shown(value) + ", but " + expected);
    }

    private String name(String key) {
        return JsonText.quoted(path + key);
    }
}
