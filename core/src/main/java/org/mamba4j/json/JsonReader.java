package org.mamba4j.json;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.Set;
import org.mamba4j.UserError;

/**
 * Reads one JSON text (RFC 8259) strictly, front to back: either piece by piece, so that a reader with a fixed layout
 * builds nothing that it does not keep, or as a tree with {@link #readValue()}.
 *
 * <p>Strict means: UTF-8 without byte order mark; no comments, trailing commas, {@code NaN} or leading zeros; a key
 * stands once in an object; a {@code \\u} escape of half a surrogate pair is refused, because no UTF-8 text can hold
 * it; at most {@value #MAX_DEPTH} levels, and {@value #MAX_NUMBER_LENGTH} characters for a number. Every error is a
 * {@link UserError} of one line with the source, line, column and byte offset.
 *
 * <p>The bytes are checked to be UTF-8 once, at the start; after that a string without escapes, which nearly all are,
 * is one call of the JDK's decoder.
 */
public final class JsonReader {
    /** Greatest number of objects and arrays inside each other. */
    public static final int MAX_DEPTH = 128;

    /** Greatest length of a number: no double needs more digits. */
    public static final int MAX_NUMBER_LENGTH = 1_000;

    private static final byte[] TRUE = {'t', 'r', 'u', 'e'};
    private static final byte[] FALSE = {'f', 'a', 'l', 's', 'e'};
    private static final byte[] NULL = {'n', 'u', 'l', 'l'};

    private final byte[] bytes;
    private final String source;
    private int at;
    private int depth;

    /**
     * @param utf8 the text; not modified, and not to be modified while it is read
     * @param source what the text is, for messages: mostly a file's name
     */
    public JsonReader(byte[] utf8, String source) {
        this.bytes = utf8;
        this.source = source;
        int bad = Utf8.firstInvalid(utf8);
        if (bad < utf8.length) {
            throw errorAt(bad, "the text is not UTF-8");
        }
    }

    /** Takes the name of a field; reads its value from the reader. */
    @FunctionalInterface
    public interface FieldReader {
        void read(String key);
    }

    /**
     * Reads an object.
     *
     * @param field called once per field, in order; must read exactly one value
     */
    public void readObject(FieldReader field) {
        Set<String> keys = new HashSet<>();
        fields(key -> {
            if (!keys.add(key)) {
                throw duplicate(key);
            }
            field.read(key);
        });
    }

    /**
     * Reads an array.
     *
     * @param element called before each element; must read exactly one value
     */
    public void readArray(Runnable element) {
        open('[', "an array");
        if (!tryPunctuation(']')) {
            do {
                element.run();
            } while (more(']'));
        }
        depth--;
    }

    /** Reads a string. */
    public String readString() {
        if (next() != '"') {
            throw expected("a string");
        }
        int start = ++at;
        boolean ascii = true;
        for (int i = start; i < bytes.length; i++) {
            byte b = bytes[i];
            if (b == '"') {
                at = i + 1;
                // ISO-8859-1 equals ASCII here and is a plain copy.
                return new String(
                        bytes, start, i - start, ascii ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8);
            }
            if (b == '\\') {
                return readEscaped(start, i);
            }
            if (b < 0) {
                ascii = false;
            } else if (b < ' ') {
                throw errorAt(i, "a control character stands in a string: write it as an escape");
            }
        }
        throw errorAt(bytes.length, "the text ends inside a string");
    }

    /** Reads an integer that fits in 64 bits. */
    public long readLong() {
        int start = whitespace();
        JsonNumber number = readNumber();
        if (!number.isLong()) {
            throw errorAt(start, "expected an integer of 64 bits, found " + JsonText.abbreviated(number.literal()));
        }
        return number.longValue();
    }

    /** Reads a number. */
    public JsonNumber readNumber() {
        int start = whitespace();
        if (at < bytes.length && bytes[at] == '-') {
            at++;
        }
        if (at < bytes.length && bytes[at] == '0') {
            at++;
        } else {
            digits(start);
        }
        if (at < bytes.length && bytes[at] == '.') {
            at++;
            digits(start);
        }
        if (at < bytes.length && (bytes[at] == 'e' || bytes[at] == 'E')) {
            at++;
            if (at < bytes.length && (bytes[at] == '+' || bytes[at] == '-')) {
                at++;
            }
            digits(start);
        }
        if (at - start > MAX_NUMBER_LENGTH) {
            throw errorAt(start, "a number of " + (at - start) + " characters");
        }
        return new JsonNumber(new String(bytes, start, at - start, StandardCharsets.ISO_8859_1));
    }

    /** Reads {@code true} or {@code false}. */
    public boolean readBoolean() {
        int first = next();
        if (first == 't') {
            literal(TRUE);
            return true;
        }
        if (first == 'f') {
            literal(FALSE);
            return false;
        }
        throw expected("true or false");
    }

    /** Reads a value of any kind with all that it holds. */
    public JsonValue readValue() {
        return switch (next()) {
            case '{' -> {
                SequencedMap<String, JsonValue> map = new LinkedHashMap<>();
                fields(key -> {
                    if (map.putIfAbsent(key, readValue()) != null) {
                        throw duplicate(key);
                    }
                });
                yield new JsonObject(map);
            }
            case '[' -> {
                List<JsonValue> list = new ArrayList<>();
                readArray(() -> list.add(readValue()));
                yield new JsonArray(list);
            }
            case '"' -> new JsonString(readString());
            case 't', 'f' -> JsonBoolean.of(readBoolean());
            case 'n' -> {
                literal(NULL);
                yield JsonNull.NULL;
            }
            case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' -> readNumber();
            default -> throw expected("a value");
        };
    }

    /** Makes sure that nothing but white space is left. */
    public void end() {
        if (whitespace() < bytes.length) {
            throw expected("the end of the text");
        }
    }

    /** An error at the place that the reader has come to. */
    public UserError error(String what) {
        return errorAt(at, what);
    }

    private void fields(FieldReader field) {
        open('{', "an object");
        if (!tryPunctuation('}')) {
            do {
                String key = readString();
                if (!tryPunctuation(':')) {
                    throw expected("':'");
                }
                field.read(key);
            } while (more('}'));
        }
        depth--;
    }

    private void open(char bracket, String what) {
        if (next() != bracket) {
            throw expected(what);
        }
        if (++depth > MAX_DEPTH) {
            throw error("more than " + MAX_DEPTH + " levels of objects and arrays");
        }
        at++;
    }

    /** After an element: true past a comma, false past the closing bracket. */
    private boolean more(char close) {
        if (tryPunctuation(',')) {
            return true;
        }
        if (tryPunctuation(close)) {
            return false;
        }
        throw expected("',' or '" + close + "'");
    }

    private boolean tryPunctuation(char wanted) {
        if (next() == wanted) {
            at++;
            return true;
        }
        return false;
    }

    /** The byte after white space, not consumed; -1 at the end. */
    private int next() {
        return whitespace() < bytes.length ? bytes[at] & 0xff : -1;
    }

    private int whitespace() {
        while (at < bytes.length) {
            byte b = bytes[at];
            if (b != ' ' && b != '\n' && b != '\r' && b != '\t') {
                break;
            }
            at++;
        }
        return at;
    }

    private void digits(int start) {
        int first = at;
        while (at < bytes.length && bytes[at] >= '0' && bytes[at] <= '9') {
            at++;
        }
        if (at == first) {
            throw expected(at == start ? "a number" : "a digit");
        }
    }

    private void literal(byte[] word) {
        for (int i = 0; i < word.length; i++) {
            if (at + i >= bytes.length || bytes[at + i] != word[i]) {
                throw error("expected " + new String(word, StandardCharsets.ISO_8859_1));
            }
        }
        at += word.length;
    }

    /** The rest of a string that has an escape at {@code escape}; slower, and rare. */
    private String readEscaped(int start, int escape) {
        StringBuilder text = new StringBuilder();
        int run = start;
        int i = escape;
        while (i < bytes.length) {
            byte b = bytes[i];
            if (b == '"' || b == '\\') {
                text.append(new String(bytes, run, i - run, StandardCharsets.UTF_8));
                if (b == '"') {
                    at = i + 1;
                    return text.toString();
                }
                i = escape(i + 1, text);
                run = i;
            } else if (b >= 0 && b < ' ') {
                throw errorAt(i, "a control character stands in a string: write it as an escape");
            } else {
                i++;
            }
        }
        throw errorAt(bytes.length, "the text ends inside a string");
    }

    /** @return index after the escape whose letter stands at {@code i} */
    private int escape(int i, StringBuilder text) {
        int letter = i < bytes.length ? bytes[i] : -1;
        switch (letter) {
            case '"', '\\', '/' -> text.append((char) letter);
            case 'b' -> text.append('\b');
            case 'f' -> text.append('\f');
            case 'n' -> text.append('\n');
            case 'r' -> text.append('\r');
            case 't' -> text.append('\t');
            case 'u' -> {
                return unicodeEscape(i + 1, text);
            }
            default -> throw errorAt(i, "unknown escape in a string");
        }
        return i + 1;
    }

    private int unicodeEscape(int i, StringBuilder text) {
        char unit = hex(i);
        text.append(unit);
        if (!Character.isSurrogate(unit)) {
            return i + 4;
        }
        boolean pair = Character.isHighSurrogate(unit)
                && i + 5 < bytes.length
                && bytes[i + 4] == '\\'
                && bytes[i + 5] == 'u'
                && Character.isLowSurrogate(hex(i + 6));
        if (!pair) {
            throw errorAt(i, "half of a surrogate pair in a string");
        }
        text.append(hex(i + 6));
        return i + 10;
    }

    private char hex(int i) {
        int unit = 0;
        for (int j = i; j < i + 4; j++) {
            int digit = j < bytes.length ? Character.digit(bytes[j], 16) : -1;
            if (digit < 0) {
                throw errorAt(Math.min(j, bytes.length), "expected four hexadecimal digits after \\u");
            }
            unit = unit << 4 | digit;
        }
        return (char) unit;
    }

    private UserError duplicate(String key) {
        return error("the key " + JsonText.quoted(key) + " stands twice in one object");
    }

    private UserError expected(String what) {
        String found = at >= bytes.length
                ? "the end of the text"
                : bytes[at] > ' ' && bytes[at] < 127
                        ? "'" + (char) bytes[at] + "'"
                        : "byte 0x" + Integer.toHexString(bytes[at] & 0xff);
        return error("expected " + what + ", found " + found);
    }

    private UserError errorAt(int offset, String what) {
        int line = 1;
        int lineStart = 0;
        for (int i = 0; i < offset && i < bytes.length; i++) {
            if (bytes[i] == '\n') {
                line++;
                lineStart = i + 1;
            }
        }
        return new UserError(
                source + ", line " + line + ", column " + (offset - lineStart + 1) + " (byte " + offset + "): " + what);
    }
}
