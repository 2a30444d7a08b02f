package org.mamba4j.text;

import static org.mamba4j.text.CharClass.LETTER;
import static org.mamba4j.text.CharClass.NUMBER;
import static org.mamba4j.text.CharClass.OTHER;
import static org.mamba4j.text.CharClass.SPACE;

/**
 * The words of GPT-4, as Llama 3 ({@code digits} 3) and Qwen 2 (1) use them: what
 *
 * <pre>(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+</pre>
 *
 * matches one after the other. Compared with {@link Gpt2Words}, contractions may be in capitals, any single character
 * but a line break may stand before a word's letters, numbers come in groups, and line breaks end what stands before
 * them.
 *
 * @param digits longest group of digits
 */
record Gpt4Words(int digits) implements WordSplitter {
    @Override
    public int wordEnd(byte[] utf8, int from, int to) {
        byte first = utf8[from];
        if (first == '\'') {
            int end = contractionEnd(utf8, from, to);
            if (end > 0) {
                return end;
            }
        }
        int kind = CharClass.at(utf8, from);
        int second = from + CharClass.length(first);
        if (kind == LETTER) {
            return Gpt2Words.runEnd(utf8, second, to, LETTER);
        }
        if (kind == NUMBER) {
            return numberEnd(utf8, second, to);
        }
        boolean lineBreak = first == '\r' || first == '\n';
        int secondKind = second < to ? CharClass.at(utf8, second) : SPACE;
        if (!lineBreak && secondKind == LETTER) {
            return Gpt2Words.runEnd(utf8, second, to, LETTER);
        }
        if (kind == OTHER) {
            return breaksEnd(utf8, Gpt2Words.runEnd(utf8, second, to, OTHER), to);
        }
        if (first == ' ' && secondKind == OTHER) {
            return breaksEnd(utf8, Gpt2Words.runEnd(utf8, second, to, OTHER), to);
        }
        int lastBreak = lastBreakEnd(utf8, from, to);
        return lastBreak > 0 ? lastBreak : Gpt2Words.spaceEnd(utf8, from, to);
    }

    private int numberEnd(byte[] utf8, int second, int to) {
        int end = second;
        for (int n = 1; n < digits && end < to && CharClass.at(utf8, end) == NUMBER; n++) {
            end += CharClass.length(utf8[end]);
        }
        return end;
    }

    private static int breaksEnd(byte[] utf8, int i, int to) {
        int end = i;
        while (end < to && (utf8[end] == '\r' || utf8[end] == '\n')) {
            end++;
        }
        return end;
    }

    /** End of the last line break in the white space that begins at {@code from}; 0 if it has none. */
    private static int lastBreakEnd(byte[] utf8, int from, int to) {
        int end = 0;
        int i = from;
        while (i < to && CharClass.at(utf8, i) == SPACE) {
            byte b = utf8[i];
            i += CharClass.length(b);
            end = b == '\r' || b == '\n' ? i : end;
        }
        return end;
    }

    private static int contractionEnd(byte[] utf8, int quote, int to) {
        int a = folded(utf8, quote + 1, to);
        if (a == 's' || a == 't' || a == 'm' || a == 'd') {
            return quote + 1 + CharClass.length(utf8[quote + 1]);
        }
        if (a == 0 || utf8[quote + 1] < 0) {
            return -1;
        }
        int b = folded(utf8, quote + 2, to);
        boolean two = (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l');
        return two ? quote + 3 : -1;
    }

    /** The character at {@code i} without its case; 0 at the end. U+017F, the long s, is an s to a regex engine. */
    private static int folded(byte[] utf8, int i, int to) {
        if (i >= to) {
            return 0;
        }
        if (utf8[i] < 0) {
            return CharClass.length(utf8[i]) == 2 && CharClass.codePoint(utf8, i) == 0x17F ? 's' : 0;
        }
        return Character.toLowerCase(utf8[i]);
    }
}
