package org.mamba4j.json;

/**
 * One JSON value, immutable. The kinds are sealed, so a {@code switch} over them is complete; {@link JsonFields} reads
 * typed fields with errors that name the file and the key.
 */
public sealed interface JsonValue permits JsonObject, JsonArray, JsonString, JsonNumber, JsonBoolean, JsonNull {
    /** What the value is, for messages: {@code object}, {@code array}, {@code string}, {@code number}, … */
    String kind();
}
