package org.mamba4j.json;

/** {@code null}. */
public enum JsonNull implements JsonValue {
    NULL;

    @Override
    public String kind() {
        return "null";
    }
}
