package org.mamba4j.data;

import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.mamba4j.UserError;

/**
 * File name patterns as shells have them, on names whose parts are joined by {@code /} on every system.
 *
 * <p>{@code *} and {@code ?} match within one part, {@code **} across parts, {@code **}{@code /} also no part at all
 * (so {@code src/**}{@code /*.java} matches {@code src/A.java}), {@code [a-z]} and {@code [!a-z]} one character of a
 * set, {@code {a,b}} one of several; a backslash takes the next character as it is. The JDK's own glob differs in the
 * third point, where everybody's shell agrees with this one.
 */
final class Glob {
    private static final String SPECIAL = "*?[{";

    private final Pattern pattern;

    Glob(String glob) {
        try {
            pattern = Pattern.compile(regex(glob), Pattern.DOTALL);
        } catch (PatternSyntaxException e) {
            throw new UserError(
                    "the pattern " + glob + " is not a glob (" + e.getDescription() + "): check its brackets", e);
        }
    }

    boolean matches(String name) {
        return pattern.matcher(name).matches();
    }

    static boolean isGlob(String location) {
        return firstSpecial(location) >= 0;
    }

    /** The folder part of {@code location} in front of the first part with a pattern in it: "" or ending with "/". */
    static String base(String location) {
        int special = firstSpecial(location);
        return location.substring(0, location.lastIndexOf('/', special) + 1);
    }

    private static int firstSpecial(String location) {
        for (int i = 0; i < location.length(); i++) {
            if (SPECIAL.indexOf(location.charAt(i)) >= 0) {
                return i;
            }
        }
        return -1;
    }

    private static String regex(String glob) {
        StringBuilder regex = new StringBuilder();
        int braces = 0;
        int i = 0;
        while (i < glob.length()) {
            char c = glob.charAt(i++);
            switch (c) {
                case '*' -> {
                    if (!glob.startsWith("*", i)) {
                        regex.append("[^/]*");
                    } else if (glob.startsWith("/", i + 1) && (i == 1 || glob.charAt(i - 2) == '/')) {
                        regex.append("(?:.*/)?");
                        i += 2;
                    } else {
                        regex.append(".*");
                        i++;
                    }
                }
                case '?' -> regex.append("[^/]");
                case '[' -> {
                    int end = glob.indexOf(']', i + 1);
                    if (end < 0) {
                        throw new UserError("the pattern " + glob + " has a [ without a ]: close it");
                    }
                    boolean not = glob.charAt(i) == '!' || glob.charAt(i) == '^';
                    String set = glob.substring(not ? i + 1 : i, end);
                    regex.append(not ? "[^/" : "[")
                            .append(set.replaceAll("([\\\\\\[\\]&^])", "\\\\$1"))
                            .append(']');
                    i = end + 1;
                }
                case '{' -> {
                    braces++;
                    regex.append("(?:");
                }
                case '}' -> {
                    regex.append(braces > 0 ? ")" : "\\}");
                    braces = Math.max(0, braces - 1);
                }
                case ',' -> regex.append(braces > 0 ? "|" : ",");
                case '\\' -> {
                    if (i < glob.length()) {
                        regex.append(Pattern.quote(glob.substring(i, i + 1)));
                        i++;
                    }
                }
                default -> regex.append(Pattern.quote(String.valueOf(c)));
            }
        }
        return regex.toString();
    }
}
