package org.mamba4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Pages from templates. */
final class Html {
    private static final Pattern PLACEHOLDER = Pattern.compile("\\{\\{([a-z-]+)}}");

    private Html() {}

    /** Text as it stands between tags or in a quoted attribute; control characters that HTML forbids become U+FFFD. */
    static String escape(String text) {
        StringBuilder out = new StringBuilder(text.length() + 16);
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&quot;");
                case '\n', '\t', '\r' -> out.appendCodePoint(c);
                default -> out.appendCodePoint(c < 0x20 || (c >= 0x7F && c < 0xA0) ? 0xFFFD : c);
            }
        });
        return out.toString();
    }

    /**
     * The resource beside this class with every {@code {{name}}} replaced; values are HTML already. All pages can have
     * {@code {{page-style}}}, the styles that they share.
     */
    static String fill(String template, Map<String, String> values) {
        String style = resource("page.css");
        return PLACEHOLDER
                .matcher(resource(template))
                .replaceAll(match -> Matcher.quoteReplacement(
                        match.group(1).equals("page-style")
                                ? style
                                : Objects.requireNonNull(
                                        values.get(match.group(1)), () -> "no value for " + match.group())));
    }

    private static String resource(String name) {
        try (InputStream in = Objects.requireNonNull(Html.class.getResourceAsStream(name), name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
