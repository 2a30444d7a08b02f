package org.mamba4j.text;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * The tokens of a text of any length, piece by piece, so that it need not be held: it is cut where the tokenizer says that
 * this changes nothing ({@link Tokenizer#splitPoint}). Where there is no such place in as much as may be held, the text is
 * cut between two characters, and that is counted, as the tokens beside that cut may be others than those of the whole.
 */
public final class TokenReader {
    private final Tokenizer tokenizer;
    private final InputStream in;
    private final int pieceBytes;
    private final int mostBytes;
    private byte[] rest = new byte[0];
    private long bytes;
    private int uncertainCuts;
    private boolean ended;

    /**
     * @param in stays the caller's to close
     * @param pieceBytes how much is read at a time
     * @param mostBytes how much may be held to find a place to cut, at least {@code pieceBytes}
     */
    public TokenReader(Tokenizer tokenizer, InputStream in, int pieceBytes, int mostBytes) {
        if (pieceBytes < 4 || mostBytes < pieceBytes) {
            throw new IllegalArgumentException("pieces of " + pieceBytes + " bytes, at most " + mostBytes);
        }
        this.tokenizer = tokenizer;
        this.in = in;
        this.pieceBytes = pieceBytes;
        this.mostBytes = mostBytes;
    }

    /** Whether all has been read. */
    public boolean isDone() {
        return ended;
    }

    /**
     * The next tokens, maybe none: {@link #isDone} tells whether there are more.
     *
     * @throws IOException what reading throws
     */
    public int[] next() throws IOException {
        if (ended) {
            return new int[0];
        }
        byte[] read = in.readNBytes((int) Math.min(pieceBytes, (long) mostBytes - rest.length));
        bytes += read.length;
        byte[] piece = Arrays.copyOf(rest, rest.length + read.length);
        System.arraycopy(read, 0, piece, rest.length, read.length);
        ended = read.length < Math.min(pieceBytes, (long) mostBytes - rest.length);
        int cut = ended ? piece.length : tokenizer.splitPoint(piece, piece.length);
        if (cut == 0 && piece.length == mostBytes) {
            cut = characterBorder(piece);
            uncertainCuts++;
        }
        rest = Arrays.copyOfRange(piece, cut, piece.length);
        return tokenizer.encode(cut == piece.length ? piece : Arrays.copyOf(piece, cut));
    }

    /** The end of the last whole character, if these are characters. */
    private static int characterBorder(byte[] utf8) {
        for (int back = 0; back < 4; back++) {
            int at = utf8.length - 1 - back;
            int lead = utf8[at] & 0xFF;
            if (lead < 0x80 || lead >= 0xC0) {
                int length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
                return at + length <= utf8.length || at == 0 ? utf8.length : at;
            }
        }
        return utf8.length;
    }

    /** Bytes read so far. */
    public long bytesRead() {
        return bytes;
    }

    /** Cuts so far where the tokenizer could not say that they change nothing. */
    public int uncertainCuts() {
        return uncertainCuts;
    }
}
