package org.mamba4j.json;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * Fields in the order of the text. Two objects are equal when they hold equal fields, in whatever order.
 *
 * @param fields not modified, copied
 */
public record JsonObject(SequencedMap<String, JsonValue> fields) implements JsonValue {
    public JsonObject {
        fields = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(fields));
    }

    /** An object without fields, to be filled. */
    public static Builder builder() {
        return new Builder();
    }

    public boolean has(String key) {
        return fields.containsKey(key);
    }

    @Override
    public String kind() {
        return "object";
    }

    /** Collects fields in order; a key given twice is a mistake of the caller. */
    public static final class Builder {
        private final SequencedMap<String, JsonValue> fields = new LinkedHashMap<>();

        private Builder() {}

        /** @throws IllegalArgumentException if {@code key} is there already */
        public Builder put(String key, JsonValue value) {
            if (fields.putIfAbsent(key, value) != null) {
                throw new IllegalArgumentException("key given twice: " + key);
            }
            return this;
        }

        public Builder put(String key, String value) {
            return put(key, new JsonString(value));
        }

        public Builder put(String key, long value) {
            return put(key, JsonNumber.of(value));
        }

        public Builder put(String key, double value) {
            return put(key, JsonNumber.of(value));
        }

        public Builder put(String key, boolean value) {
            return put(key, JsonBoolean.of(value));
        }

        /** Every entry of {@code values} as a string. */
        public Builder putStrings(Map<String, String> values) {
            values.forEach(this::put);
            return this;
        }

        public JsonObject build() {
            return new JsonObject(fields);
        }
    }
}
