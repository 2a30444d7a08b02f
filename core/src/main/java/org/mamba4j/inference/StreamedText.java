package org.mamba4j.inference;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.mamba4j.text.StreamingDecoder;

/**
 * Turns the bytes of one token after another into pieces of text. A piece never ends inside a character, and what might
 * be the beginning of a stop text is held back until it is known not to be. All pieces together are what decoding the
 * bytes at once gives (with U+FFFD for bytes that are not UTF-8), cut before the stop text that is complete first.
 */
final class StreamedText {
    private final List<byte[]> stops;
    private final StringBuilder text = new StringBuilder();
    private final StreamingDecoder decoder = new StreamingDecoder();

    /** Bytes held back because a stop text may begin with them. */
    private byte[] pending = new byte[0];

    private boolean finished;

    StreamedText(List<String> stops) {
        this.stops = stops.stream()
                .map(stop -> stop.getBytes(StandardCharsets.UTF_8))
                .toList();
    }

    /**
     * @param sink given what is certain by now: one piece, or none
     * @return whether a stop text has appeared; nothing may be added after it
     */
    boolean add(byte[] bytes, Consumer<String> sink) {
        int held = pending.length;
        pending = Arrays.copyOf(pending, held + bytes.length);
        System.arraycopy(bytes, 0, pending, held, bytes.length);
        int cut = firstStop();
        if (cut >= 0) {
            pending = Arrays.copyOf(pending, cut);
            finish(sink);
            return true;
        }
        emit(pending.length - possibleStop(), false, sink);
        return false;
    }

    /** Hands over what was held back: one piece, or none. */
    void finish(Consumer<String> sink) {
        if (!finished) {
            finished = true;
            emit(pending.length, true, sink);
        }
    }

    /** All pieces so far. */
    String text() {
        return text.toString();
    }

    /**
     * Where the stop text begins that is complete first, of two the longer one; -1 if none is. So what is cut does not depend
     * on where tokens end, as it would if an earlier beginning counted more, which may come to nothing.
     */
    private int firstStop() {
        int none = pending.length;
        for (int end = 1; end <= pending.length; end++) {
            int first = none;
            for (byte[] stop : stops) {
                int start = end - stop.length;
                if (start >= 0 && matches(stop, start, stop.length)) {
                    first = Math.min(first, start);
                }
            }
            if (first < none) {
                return first;
            }
        }
        return -1;
    }

    /** Length of the longest end of {@link #pending} with which a stop text begins. */
    private int possibleStop() {
        for (int start = 0; start < pending.length; start++) {
            for (byte[] stop : stops) {
                if (pending.length - start < stop.length && matches(stop, start, pending.length - start)) {
                    return pending.length - start;
                }
            }
        }
        return 0;
    }

    private boolean matches(byte[] stop, int start, int length) {
        return start + length <= pending.length && Arrays.equals(pending, start, start + length, stop, 0, length);
    }

    private void emit(int length, boolean end, Consumer<String> sink) {
        String piece = decoder.add(Arrays.copyOf(pending, length));
        if (end) {
            piece += decoder.finish();
        }
        pending = Arrays.copyOfRange(pending, length, pending.length);
        if (!piece.isEmpty()) {
            text.append(piece);
            sink.accept(piece);
        }
    }
}
