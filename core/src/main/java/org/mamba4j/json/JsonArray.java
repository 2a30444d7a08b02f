package org.mamba4j.json;

import java.util.List;

/** @param values not modified, copied */
public record JsonArray(List<JsonValue> values) implements JsonValue {
    public JsonArray {
        values = List.copyOf(values);
    }

    @Override
    public String kind() {
        return "array";
    }
}
