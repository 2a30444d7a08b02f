package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.mamba4j.UserError;

/** Lengths in tokens as people write them: {@code 256}, {@code 1k} = 1,000, {@code 2.5k}, {@code 1M} = 1,000,000. */
public final class Lengths {
    private static final Pattern LENGTH = Pattern.compile("(\\d{1,10})(\\.\\d{1,6})?([kKmM]?)");

    private Lengths() {}

    /**
     * Reads one length.
     *
     * @throws UserError if {@code text} is not a whole number of tokens from 1 to 2,147,483,647
     */
    public static int parse(String text) {
        Matcher matcher = LENGTH.matcher(text.strip());
        if (matcher.matches()) {
            double unit = switch (matcher.group(3).toLowerCase(Locale.ROOT)) {
                case "k" -> 1e3;
                case "m" -> 1e6;
                default -> 1;
            };
            String fraction = matcher.group(2) == null ? "" : matcher.group(2);
            double value = Math.round(Double.parseDouble(matcher.group(1) + fraction) * unit * 1e6) / 1e6;
            if (value >= 1 && value <= Integer.MAX_VALUE && value == Math.rint(value)) {
                return (int) value;
            }
        }
        throw new UserError("'" + text + "' is not a length: write a number of tokens such as 256, 1k (1,000) or 2.5k");
    }

    /** Reads lengths separated by commas. */
    public static List<Integer> parseList(String text) {
        List<Integer> lengths = new ArrayList<>();
        for (String part : text.split(",", -1)) {
            lengths.add(parse(part));
        }
        return lengths;
    }

    /** The shortest spelling that {@link #parse} reads back: 1000 is {@code 1k}, 1024 is {@code 1024}. */
    public static String format(int length) {
        if (length % 1_000_000 == 0) {
            return length / 1_000_000 + "M";
        }
        return length % 1000 == 0 ? length / 1000 + "k" : Integer.toString(length);
    }
}
