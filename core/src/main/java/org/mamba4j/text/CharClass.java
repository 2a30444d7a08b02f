package org.mamba4j.text;

/**
 * What the regular expressions of tokenizers call {@code \p{L}}, {@code \p{N}} and {@code \s}, by the Unicode version of
 * the running JDK (16 in JDK 25, as in the Hugging Face library that tests compare with): the four classes divide all
 * characters among them.
 */
final class CharClass {
    static final int SPACE = 0;
    static final int LETTER = 1;
    static final int NUMBER = 2;
    static final int OTHER = 3;

    private static final byte[] ASCII = new byte[128];

    static {
        for (int c = 0; c < ASCII.length; c++) {
            ASCII[c] = (byte) classify(c);
        }
    }

    private CharClass() {}

    /** Class of the character that begins at {@code utf8[i]}. */
    static int at(byte[] utf8, int i) {
        byte b = utf8[i];
        return b >= 0 ? ASCII[b] : classify(codePoint(utf8, i));
    }

    /** Bytes of the character that begins with {@code lead}. */
    static int length(byte lead) {
        return lead >= 0 ? 1 : lead < (byte) 0xE0 ? 2 : lead < (byte) 0xF0 ? 3 : 4;
    }

    static int codePoint(byte[] utf8, int i) {
        int lead = utf8[i];
        return switch (length(utf8[i])) {
            case 1 -> lead;
            case 2 -> (lead & 0x1F) << 6 | low(utf8, i + 1);
            case 3 -> (lead & 0x0F) << 12 | low(utf8, i + 1) << 6 | low(utf8, i + 2);
            default -> (lead & 0x07) << 18 | low(utf8, i + 1) << 12 | low(utf8, i + 2) << 6 | low(utf8, i + 3);
        };
    }

    private static int low(byte[] utf8, int i) {
        return utf8[i] & 0x3F;
    }

    static int classify(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.UPPERCASE_LETTER,
                    Character.LOWERCASE_LETTER,
                    Character.TITLECASE_LETTER,
                    Character.MODIFIER_LETTER,
                    Character.OTHER_LETTER -> LETTER;
            case Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> NUMBER;
            case Character.SPACE_SEPARATOR, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR -> SPACE;
            default -> (codePoint >= '\t' && codePoint <= '\r') || codePoint == 0x85 ? SPACE : OTHER;
        };
    }

    /** Whether {@code \w} matches: letters, marks, decimal digits, connectors and joiners. */
    static boolean isWord(int codePoint) {
        return Character.isAlphabetic(codePoint)
                || switch (Character.getType(codePoint)) {
                    case Character.NON_SPACING_MARK,
                            Character.COMBINING_SPACING_MARK,
                            Character.ENCLOSING_MARK,
                            Character.DECIMAL_DIGIT_NUMBER,
                            Character.CONNECTOR_PUNCTUATION -> true;
                    default -> codePoint == 0x200C || codePoint == 0x200D;
                };
    }
}
