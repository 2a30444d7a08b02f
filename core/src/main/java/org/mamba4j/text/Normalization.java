package org.mamba4j.text;

import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Unicode normal forms, applied one after the other. What is known to be in normal form is left as it is without
 * looking further: ASCII always, and for NFC every character that neither changes nor meets its neighbours, which is
 * nearly all text there is.
 *
 * <p>The Hugging Face library normalises by Unicode 9, the JDK by a later one. The characters in which they differ (marks
 * and compatibility forms of rare scripts) are listed here, found by comparing all characters, and are treated as the
 * library does: models were trained on its ids.
 *
 * @param forms none for a tokenizer that does not normalise
 */
record Normalization(List<Normalizer.Form> forms) {
    static final Normalization NONE = new Normalization(List.of());

    /** U+0000 to U+FFFF without those that NFC changes or that may join with others. Built when first needed. */
    private static final class Inert {
        static final BitSet BMP = new BitSet(1 << 16);

        static {
            for (int c = 0; c < 1 << 16; c++) {
                int type = Character.getType(c);
                boolean joins = type == Character.NON_SPACING_MARK
                        || type == Character.COMBINING_SPACING_MARK
                        || type == Character.ENCLOSING_MARK
                        || (c >= 0x1100 && c < 0x1200) // Hangul, which is composed by rule
                        || type == Character.SURROGATE;
                BMP.set(c, !joins && Normalizer.isNormalized(String.valueOf((char) c), Normalizer.Form.NFC));
            }
        }
    }

    /** What normal forms treat since Unicode 10 to 16, and the library's do not. */
    private static final class Unknown {
        private static final String RANGES = "7FD 897-89F 8CA-8D3 9FE C3C D3B-D3C EBA 1715 1ABF-1ACE 1DF6-1DFA 32FF "
                + "A7F2-A7F4 A82C AB69 105C9 105D2 105DA 105E4 10781-10785 10787-107B0 107B2-107BA 10D24-10D27 "
                + "10D69-10D6D 10EAB-10EAC 10EFD-10EFF 10F46-10F50 10F82-10F85 11070 1133B 11382-11385 1138B 1138E "
                + "11390-11391 113B8 113BB 113C2 113C5 113C7-113C9 113CE-113D0 1145E 11839-1183A 11930 11935 11938 "
                + "1193D-1193E 11943 119E0 11A34 11A47 11A99 11D42 11D44-11D45 11D97 11F41-11F42 1611E-16129 1612F "
                + "16D63 16D67-16D6A 16FF0-16FF1 1CCD6-1CCF9 1E030-1E06D 1E08F 1E130-1E136 1E2AE 1E2EC-1E2EF "
                + "1E4EC-1E4EF 1E5EE-1E5EF 1F16C 1FBF0-1FBF9";

        static final BitSet ALL = new BitSet(1 << 17);

        static {
            for (String range : RANGES.split(" ")) {
                int dash = range.indexOf('-');
                int first = Integer.parseInt(dash < 0 ? range : range.substring(0, dash), 16);
                int last = Integer.parseInt(range.substring(dash + 1), 16);
                ALL.set(first, last + 1);
            }
        }
    }

    /** The text in normal form: {@code utf8} from {@code from} to {@code to} itself where that is so. */
    byte[] normalize(byte[] utf8, int from, int to) {
        byte[] text = from == 0 && to == utf8.length ? utf8 : Arrays.copyOfRange(utf8, from, to);
        if (!isNormal(text, 0, text.length)) {
            String normal = new String(text, StandardCharsets.UTF_8);
            for (Normalizer.Form form : forms) {
                normal = normalize(normal, form);
            }
            text = normal.getBytes(StandardCharsets.UTF_8);
        }
        return text;
    }

    /** Characters that the library does not know stand still, and nothing moves past or joins with them. */
    private static String normalize(String text, Normalizer.Form form) {
        StringBuilder normal = new StringBuilder(text.length());
        int done = 0;
        int i = 0;
        while (i < text.length()) {
            int c = text.codePointAt(i);
            if (Unknown.ALL.get(c)) {
                normal.append(Normalizer.normalize(text.substring(done, i), form))
                        .appendCodePoint(c);
                done = i + Character.charCount(c);
            }
            i += Character.charCount(c);
        }
        return done == 0
                ? Normalizer.normalize(text, form)
                : normal.append(Normalizer.normalize(text.substring(done), form))
                        .toString();
    }

    /** Whether the text is surely in normal form. */
    boolean isNormal(byte[] utf8, int from, int to) {
        if (forms.isEmpty()) {
            return true;
        }
        boolean composed = forms.size() == 1 && forms.getFirst() == Normalizer.Form.NFC;
        // Below U+0300, which is where lead byte 0xCC begins, nothing changes in NFC.
        int inert = composed ? 0xCC : 0x80;
        for (int i = from; i < to; i++) {
            if (utf8[i] < 0 && (utf8[i] & 0xFF) >= inert) {
                return composed && isInert(utf8, i, to);
            }
        }
        return true;
    }

    private static boolean isInert(byte[] utf8, int from, int to) {
        int i = from;
        while (i < to) {
            if (utf8[i] < 0) {
                int c = CharClass.codePoint(utf8, i);
                boolean pictograph = c >= 0x1F000 && c < 0x1FB00;
                if (c >= 0x300 && !pictograph && !(c < 1 << 16 && Inert.BMP.get(c))) {
                    return false;
                }
            }
            i += CharClass.length(utf8[i]);
        }
        return true;
    }
}
