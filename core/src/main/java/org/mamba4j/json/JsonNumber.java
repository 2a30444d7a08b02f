package org.mamba4j.json;

import org.jspecify.annotations.Nullable;

/**
 * A number as it stands in the text, so that no digit is lost: an integer of 64 bits stays exact, and what is read is
 * written back unchanged. Two numbers are equal when their texts are: 1 and 1.0 differ.
 */
public final class JsonNumber implements JsonValue {
    private final String literal;

    /** @param literal follows JSON's grammar for numbers: the reader has seen to it */
    JsonNumber(String literal) {
        this.literal = literal;
    }

    public static JsonNumber of(long value) {
        return new JsonNumber(Long.toString(value));
    }

    /** @throws IllegalArgumentException if {@code value} is not finite: JSON has no word for it */
    public static JsonNumber of(double value) {
        if (!Double.isFinite(value)) {
            throw new IllegalArgumentException("JSON cannot hold " + value);
        }
        return new JsonNumber(Double.toString(value));
    }

    /** The text of the number. */
    public String literal() {
        return literal;
    }

    /** Whether the text is an integer, without point or exponent, that fits in 64 bits. */
    public boolean isLong() {
        // The longest is -9223372036854775808, 20 characters.
        if (literal.length() > 20) {
            return false;
        }
        for (int i = literal.charAt(0) == '-' ? 1 : 0; i < literal.length(); i++) {
            char c = literal.charAt(i);
            if (c < '0' || c > '9') {
                return false;
            }
        }
        if (literal.length() < 19) {
            return true;
        }
        try {
            Long.parseLong(literal);
            return true;
        } catch (NumberFormatException tooBig) {
            return false;
        }
    }

    /** @throws NumberFormatException unless {@link #isLong()} */
    public long longValue() {
        return Long.parseLong(literal);
    }

    /** The nearest double; infinite when the number is too great for one. */
    public double doubleValue() {
        return Double.parseDouble(literal);
    }

    @Override
    public String kind() {
        return "number";
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof JsonNumber number && number.literal.equals(literal);
    }

    @Override
    public int hashCode() {
        return literal.hashCode();
    }

    @Override
    public String toString() {
        return literal;
    }
}
