package org.mamba4j.json;

/** @param value the text, escapes resolved */
public record JsonString(String value) implements JsonValue {
    @Override
    public String kind() {
        return "string";
    }
}
