package org.mamba4j.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Tokens that are looked for in the text itself, before it is cut into words: among all that begin at a place the
 * longest, from left to right. A trie of bytes, children as linked lists; costs one table look-up per byte where no
 * token begins.
 */
final class AddedTokens {
    /**
     * One token, with the switches of tokenizer.json.
     *
     * @param id its id
     * @param content what it looks like in the text
     * @param singleWord only where no word character stands directly before or after it
     * @param lstrip takes in white space before it
     * @param rstrip takes in white space after it
     */
    record Token(int id, String content, boolean singleWord, boolean lstrip, boolean rstrip) {
        boolean holdsBreak() {
            // A text may be cut in front of a line break between letters: no token may reach across.
            int last = content.codePointBefore(content.length());
            return content.indexOf('\n', 1) >= 0 || (rstrip && Character.isLetter(last));
        }
    }

    /** Takes the parts of a text in order. */
    interface Sink {
        /** Text between tokens, never empty. */
        void text(byte[] utf8, int from, int to);

        /** A token. */
        void token(int id);
    }

    private final List<Token> tokens;
    private final int[] root = new int[256]; // node for the first byte, 0 for none
    private byte[] key = new byte[64];
    private int[] child = new int[64];
    private int[] sibling = new int[64];
    private int[] token = new int[64]; // 1 + index of the token that ends here
    private int nodes = 1;

    AddedTokens(List<Token> tokens) {
        this.tokens = List.copyOf(tokens);
        for (int t = 0; t < tokens.size(); t++) {
            insert(tokens.get(t).content().getBytes(StandardCharsets.UTF_8), t);
        }
    }

    private void insert(byte[] content, int index) {
        int node = root[content[0] & 0xFF];
        if (node == 0) {
            node = newNode(content[0]);
            root[content[0] & 0xFF] = node;
        }
        for (int i = 1; i < content.length; i++) {
            int next = find(node, content[i]);
            if (next == 0) {
                next = newNode(content[i]);
                sibling[next] = child[node];
                child[node] = next;
            }
            node = next;
        }
        token[node] = index + 1;
    }

    private int newNode(byte b) {
        if (nodes == key.length) {
            key = Arrays.copyOf(key, 2 * nodes);
            child = Arrays.copyOf(child, 2 * nodes);
            sibling = Arrays.copyOf(sibling, 2 * nodes);
            token = Arrays.copyOf(token, 2 * nodes);
        }
        key[nodes] = b;
        return nodes++;
    }

    private int find(int parent, byte b) {
        int node = child[parent];
        while (node != 0 && key[node] != b) {
            node = sibling[node];
        }
        return node;
    }

    /** Whether a token may contain or swallow the line break of "letter, line break, letter". */
    boolean holdBreak() {
        return tokens.stream().anyMatch(Token::holdsBreak);
    }

    /** Hands over text and tokens of {@code utf8} from {@code from} to {@code to}. */
    void split(byte[] utf8, int from, int to, Sink sink) {
        int done = from;
        int i = from;
        while (i < to) {
            int node = root[utf8[i] & 0xFF];
            if (node == 0) {
                i++;
                continue;
            }
            int found = 0;
            int end = i;
            for (int j = i + 1; node != 0; node = j < to ? find(node, utf8[j++]) : 0) {
                if (token[node] != 0) {
                    found = token[node];
                    end = j;
                }
            }
            if (found == 0) {
                i++;
                continue;
            }
            Token t = tokens.get(found - 1);
            if (!t.singleWord() || isAlone(utf8, from, i, end, to)) {
                int start = t.lstrip() ? Math.max(done, spaceStart(utf8, done, i)) : i;
                if (done < start) {
                    sink.text(utf8, done, start);
                }
                sink.token(t.id());
                done = t.rstrip() ? spaceEnd(utf8, end, to) : end;
            }
            i = end;
        }
        if (done < to) {
            sink.text(utf8, done, to);
        }
    }

    private static boolean isAlone(byte[] utf8, int from, int start, int end, int to) {
        return (start == from || !CharClass.isWord(CharClass.codePoint(utf8, before(utf8, start))))
                && (end == to || !CharClass.isWord(CharClass.codePoint(utf8, end)));
    }

    /** Start of the character that ends at {@code end}. */
    private static int before(byte[] utf8, int end) {
        int i = end - 1;
        while ((utf8[i] & 0xC0) == 0x80) {
            i--;
        }
        return i;
    }

    private static int spaceStart(byte[] utf8, int from, int end) {
        int start = end;
        while (start > from) {
            int i = before(utf8, start);
            if (CharClass.at(utf8, i) != CharClass.SPACE) {
                break;
            }
            start = i;
        }
        return start;
    }

    private static int spaceEnd(byte[] utf8, int start, int to) {
        return Gpt2Words.runEnd(utf8, start, to, CharClass.SPACE);
    }

    /** The tokens in the order given. */
    List<Token> tokens() {
        return new ArrayList<>(tokens);
    }
}
