package org.mamba4j.cli;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.IntFunction;
import org.mamba4j.text.Tokenizer;

/** Tokens as text in spans of equal marks. */
final class MarkedText {
    private MarkedText() {}

    /**
     * @param marks HTML attributes of a token's span; empty for none
     * @return HTML; a character of several tokens has the mark of the first
     */
    static String html(Tokenizer tokenizer, int[] tokens, IntFunction<String> marks) {
        StringBuilder html = new StringBuilder();
        ByteArrayOutputStream open = new ByteArrayOutputStream();
        String mark = "";
        for (int i = 0; i < tokens.length; i++) {
            String next = marks.apply(i);
            for (byte b : tokenizer.bytes(tokens[i])) {
                boolean continues = (b & 0xC0) == 0x80;
                if (!continues && !next.equals(mark)) {
                    close(html, open, mark);
                    mark = next;
                }
                open.write(b);
            }
        }
        close(html, open, mark);
        return html.toString();
    }

    private static void close(StringBuilder html, ByteArrayOutputStream open, String mark) {
        if (open.size() > 0) {
            String text = Html.escape(open.toString(StandardCharsets.UTF_8));
            html.append(mark.isEmpty() ? text : "<span " + mark + ">" + text + "</span>");
            open.reset();
        }
    }
}
