package org.mamba4j.json;

/** Tells UTF-8 from what is not (Unicode 16, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF). */
public final class Utf8 {
    private Utf8() {}

    /** Index of the first byte that does not begin or continue a character; the length when all is well. */
    public static int firstInvalid(byte[] b) {
        int i = 0;
        while (i < b.length) {
            if (b[i] >= 0) {
                i++;
                continue;
            }
            int n = sequenceLength(b, i);
            if (n == 0) {
                return i;
            }
            i += n;
        }
        return i;
    }

    private static int sequenceLength(byte[] b, int i) {
        int lead = b[i] & 0xff;
        int n = lead >= 0xc2 && lead <= 0xdf
                ? 2
                : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
        if (n == 0 || i + n > b.length) {
            return 0;
        }
        for (int j = 1; j < n; j++) {
            if ((b[i + j] & 0xc0) != 0x80) {
                return 0;
            }
        }
        int second = b[i + 1] & 0xff;
        boolean valid = switch (lead) {
            case 0xe0 -> second >= 0xa0;
            case 0xed -> second <= 0x9f;
            case 0xf0 -> second >= 0x90;
            case 0xf4 -> second <= 0x8f;
            default -> true;
        };
        return valid ? n : 0;
    }
}
