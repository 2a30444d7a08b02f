package org.mamba4j.text;

import static org.mamba4j.text.CharClass.LETTER;
import static org.mamba4j.text.CharClass.OTHER;
import static org.mamba4j.text.CharClass.SPACE;

/**
 * The words of GPT-2 [1], which Pythia and Mamba took over: what the regular expression
 *
 * <pre>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</pre>
 *
 * matches one after the other. A regex engine spends most of the time of a tokenizer here; yet every alternative is a
 * run of characters of one class, perhaps after one space, so one pass that looks at each character once (and at the
 * last of some white space again) does the same.
 *
 * <p>The negative lookahead makes white space give its last character to what follows: as the space in front of the
 * next word, or, when it is a line break or tab, as a word of its own.
 *
 * <ol>
 *   <li>A. Radford et al., Language Models are Unsupervised Multitask Learners, OpenAI 2019, section 2.2.
 * </ol>
 */
final class Gpt2Words implements WordSplitter {
    @Override
    public int wordEnd(byte[] utf8, int from, int to) {
        byte first = utf8[from];
        if (first == '\'') {
            int end = contractionEnd(utf8, from, to);
            return end > 0 ? end : runEnd(utf8, from + 1, to, OTHER);
        }
        int start = first == ' ' && from + 1 < to ? from + 1 : from;
        int kind = CharClass.at(utf8, start);
        if (kind == SPACE) {
            return spaceEnd(utf8, from, to);
        }
        return runEnd(utf8, start + CharClass.length(utf8[start]), to, kind);
    }

    private static int contractionEnd(byte[] utf8, int quote, int to) {
        if (quote + 1 >= to) {
            return -1;
        }
        byte next = utf8[quote + 1];
        if (next == 's' || next == 't' || next == 'm' || next == 'd') {
            return quote + 2;
        }
        if (quote + 2 >= to) {
            return -1;
        }
        byte last = utf8[quote + 2];
        boolean two = (next == 'r' && last == 'e') || (next == 'v' && last == 'e') || (next == 'l' && last == 'l');
        return two ? quote + 3 : -1;
    }

    /** End of the characters of class {@code kind} from {@code i} on. */
    static int runEnd(byte[] utf8, int i, int to, int kind) {
        int end = i;
        if (kind == LETTER) {
            // Most of all text.
            while (end < to && (utf8[end] | 0x20) >= 'a' && (utf8[end] | 0x20) <= 'z') {
                end++;
            }
        }
        while (end < to && CharClass.at(utf8, end) == kind) {
            end += CharClass.length(utf8[end]);
        }
        return end;
    }

    /** End of white space: all of it at the end of the text, else without its last character unless that is all. */
    static int spaceEnd(byte[] utf8, int from, int to) {
        int end = from;
        int last = from;
        while (end < to && CharClass.at(utf8, end) == SPACE) {
            last = end;
            end += CharClass.length(utf8[end]);
        }
        return end == to || last == from ? end : last;
    }
}
