package org.mamba4j.json;

import java.util.Iterator;
import java.util.Map;

/** Writes values as text, and shows text from files in messages. */
public final class JsonText {
    private static final int SHOWN = 60;

    private JsonText() {}

    /** One line, no white space. */
    public static String compact(JsonValue value) {
        StringBuilder out = new StringBuilder();
        write(value, out, -1, 0);
        return out.toString();
    }

    /** One field or element a line, indented by two spaces, as Python's {@code json.dumps(indent=2)} has it. */
    public static String pretty(JsonValue value) {
        StringBuilder out = new StringBuilder();
        write(value, out, 2, 0);
        return out.toString();
    }

    /** {@code text} in quotes, escaped, so that it is one line whatever it holds, and cut when it is long. */
    public static String quoted(String text) {
        StringBuilder out = new StringBuilder();
        writeString(abbreviated(text), out, false);
        return out.toString();
    }

    /** {@code value} for a message: compact, and cut when it is long. */
    public static String shown(JsonValue value) {
        return switch (value) {
            case JsonString string -> quoted(string.value());
            case JsonObject object -> "an object of " + object.fields().size() + " fields";
            case JsonArray array ->
                array.values().size() > 8
                        ? "an array of " + array.values().size() + " elements"
                        : abbreviated(compact(value));
            default -> abbreviated(compact(value));
        };
    }

    static String abbreviated(String text) {
        return text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "…";
    }

    private static void write(JsonValue value, StringBuilder out, int indent, int level) {
        switch (value) {
            case JsonObject object -> writeObject(object.fields(), out, indent, level);
            case JsonArray array -> {
                out.append('[');
                boolean first = true;
                for (JsonValue element : array.values()) {
                    separate(first, out, indent, level + 1);
                    write(element, out, indent, level + 1);
                    first = false;
                }
                close(']', first, out, indent, level);
            }
            case JsonString string -> writeString(string.value(), out, true);
            case JsonNumber number -> out.append(number.literal());
            case JsonBoolean bool -> out.append(bool.value());
            case JsonNull.NULL -> out.append("null");
        }
    }

    private static void writeObject(Map<String, JsonValue> fields, StringBuilder out, int indent, int level) {
        out.append('{');
        Iterator<Map.Entry<String, JsonValue>> entries = fields.entrySet().iterator();
        boolean first = true;
        while (entries.hasNext()) {
            Map.Entry<String, JsonValue> entry = entries.next();
            separate(first, out, indent, level + 1);
            writeString(entry.getKey(), out, true);
            out.append(indent < 0 ? ":" : ": ");
            write(entry.getValue(), out, indent, level + 1);
            first = false;
        }
        close('}', first, out, indent, level);
    }

    private static void separate(boolean first, StringBuilder out, int indent, int level) {
        if (!first) {
            out.append(',');
        }
        newLine(out, indent, level);
    }

    private static void close(char bracket, boolean empty, StringBuilder out, int indent, int level) {
        if (!empty) {
            newLine(out, indent, level);
        }
        out.append(bracket);
    }

    private static void newLine(StringBuilder out, int indent, int level) {
        if (indent >= 0) {
            out.append('\n').repeat(' ', indent * level);
        }
    }

    /** @param strict refuses half a surrogate pair, which no reader would take back, instead of escaping it */
    private static void writeString(String text, StringBuilder out, boolean strict) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> {
                    if (Character.isSurrogate(c)) {
                        i += writeSurrogate(text, i, out, strict);
                    } else if (Character.isISOControl(c) || c == '\u2028' || c == '\u2029') {
                        escape(c, out);
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }

    /** @return chars taken beside the first */
    private static int writeSurrogate(String text, int i, StringBuilder out, boolean strict) {
        int codePoint = text.codePointAt(i);
        if (Character.isSupplementaryCodePoint(codePoint)) {
            out.appendCodePoint(codePoint);
            return 1;
        }
        if (strict) {
            throw new IllegalArgumentException("half of a surrogate pair at index " + i);
        }
        escape(text.charAt(i), out);
        return 0;
    }

    private static void escape(char c, StringBuilder out) {
        out.append("\\u");
        for (int shift = 12; shift >= 0; shift -= 4) {
            out.append(Character.forDigit(c >> shift & 15, 16));
        }
    }
}
