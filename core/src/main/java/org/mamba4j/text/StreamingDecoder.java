package org.mamba4j.text;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Turns bytes that come piece by piece, as tokens do, into text: what is a whole character is handed out at once, the
 * head of one is held back until the rest has come. All pieces together are what decoding all bytes at once gives, with
 * U+FFFD for what is not UTF-8. For one thread.
 */
public final class StreamingDecoder {
    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);

    /** The head of a character: at most three bytes. */
    private byte[] pending = new byte[0];

    /** Takes more bytes; returns the characters that are complete by now, maybe none. */
    public String add(byte[] bytes) {
        return decode(bytes, false);
    }

    /** The text has ended: returns U+FFFD for the head of a character if there is one. Starts over. */
    public String finish() {
        String rest = decode(new byte[0], true);
        decoder.reset();
        return rest;
    }

    private String decode(byte[] bytes, boolean end) {
        byte[] all = Arrays.copyOf(pending, pending.length + bytes.length);
        System.arraycopy(bytes, 0, all, pending.length, bytes.length);
        ByteBuffer in = ByteBuffer.wrap(all);
        CharBuffer out = CharBuffer.allocate(all.length + 1);
        decoder.decode(in, out, end);
        if (end) {
            decoder.flush(out);
        }
        pending = Arrays.copyOfRange(all, in.position(), all.length);
        return out.flip().toString();
    }
}
