package org.mamba4j.cli;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.mamba4j.torch.fidelity.Dynamics;

/**
 * The text of a {@link DynamicsReport}, coloured by what one layer makes of each token.
 *
 * @param shown the layer that is shown until another is chosen
 * @param lives how half-lives are shaded
 */
record DynamicsText(DynamicsReport.Text text, Dynamics dynamics, int shown, Range lives) {
    /** Shades of each colour; a digit of base 36 names one. */
    private static final int SHADES = 32;

    /** Tokens of the table of those that open the valve widest, a row. */
    private static final int OPENERS = 8;

    /**
     * A scale of shades, logarithmic.
     *
     * @param low what is shown palest
     * @param high what is shown darkest, greater than low
     */
    record Range(double low, double high) {
        /** All but the least and the greatest fiftieth of the values. */
        static Range of(List<Double> values) {
            List<Double> sorted = values.stream().sorted().toList();
            double low = sorted.get(sorted.size() / 50);
            double high = sorted.get(sorted.size() - 1 - sorted.size() / 50);
            return new Range(low, Math.max(high, low * 1.0001));
        }

        /** Of all half-lives; where the text ended before, of what was left of it. */
        static Range ofLives(List<Dynamics> models) {
            List<Double> lives = new ArrayList<>();
            for (Dynamics model : models) {
                for (Dynamics.Selective layer : model.selective()) {
                    for (int t = 0; t < layer.halfLives().size(); t++) {
                        lives.add(life(layer, t));
                    }
                }
            }
            return lives.isEmpty() ? new Range(1, 10) : of(lives);
        }

        double share(double value) {
            return Math.clamp(Math.log(value / low) / Math.log(high / low), 0, 1);
        }

        char shade(double value) {
            return Character.forDigit((int) Math.round(share(value) * (SHADES - 1)), 36);
        }
    }

    /** A half-life, or what is left of the text if that is less. */
    static double life(Dynamics.Selective layer, int token) {
        return Math.min(layer.halfLives().get(token), layer.halfLives().size() - token);
    }

    /** CSS classes of the shades: v for the valve, h for half-lives. */
    static String colours() {
        StringBuilder css = new StringBuilder();
        for (int i = 0; i < SHADES; i++) {
            double share = (double) i / (SHADES - 1);
            String ink = share > 0.55 ? "#fff" : "inherit";
            char name = Character.forDigit(i, 36);
            css.append(String.format(
                    Locale.ROOT,
                    ".v%c { background: #%06x; color: %s; } .h%c { background: #%06x; color: %s; }%n",
                    name,
                    CellPicture.blue(share),
                    ink,
                    name,
                    CellPicture.green(share),
                    ink));
        }
        return css.toString();
    }

    /** The text as the layer shown colours it, and the figures of all layers for the page's script. */
    String toHtml() {
        String shades = dynamics.layers().get(shown) instanceof Dynamics.Selective layer ? shades(layer.valve()) : "";
        return "<p class=\"readout\">Point at a token.</p>\n<pre class=\"text\">"
                + MarkedText.html(
                        text.tokenizer(),
                        text.tokens(),
                        token -> "data-t=\"" + token + "\" class=\""
                                + (shades.isEmpty() ? "" : "v" + shades.charAt(token)) + "\"")
                + "</pre>\n<script type=\"application/json\" class=\"figures\">["
                + dynamics.layers().stream().map(this::figures).collect(Collectors.joining(",\n"))
                + "]</script>\n";
    }

    private static String shades(List<Double> valve) {
        Range range = Range.of(valve);
        return valve.stream().map(v -> String.valueOf(range.shade(v))).collect(Collectors.joining());
    }

    private String figures(Dynamics.Layer layer) {
        return layer instanceof Dynamics.Selective selective ? figures(selective) : "null";
    }

    /** Digits only, so nothing in it can end the script. A life of -1: longer than what was left of the text. */
    private String figures(Dynamics.Selective layer) {
        int length = layer.valve().size();
        StringBuilder digits = new StringBuilder();
        StringBuilder shades = new StringBuilder();
        for (int t = 0; t < length; t++) {
            double life = layer.halfLives().get(t);
            shades.append(lives.shade(life(layer, t)));
            digits.append(t == 0 ? "" : ",").append(Double.isInfinite(life) ? "-1" : digits(life));
        }
        return "{\"v\":\"" + shades(layer.valve()) + "\",\"h\":\"" + shades + "\",\"valve\":["
                + layer.valve().stream().map(DynamicsText::digits).collect(Collectors.joining(",")) + "],\"life\":["
                + digits + "]}";
    }

    private static String digits(double value) {
        return BigDecimal.valueOf(value)
                .round(new MathContext(3))
                .stripTrailingZeros()
                .toPlainString();
    }

    /** What opens each layer's valve widest, and what leaves it most shut: tokens that occur twice or more. */
    String openers() {
        StringBuilder html = new StringBuilder(
                "<table class=\"openers\"><tr><th>layer</th><th>open it</th><th>leave it shut</th></tr>\n");
        for (int i = dynamics.layers().size() - 1; i >= 0; i--) {
            if (!(dynamics.layers().get(i) instanceof Dynamics.Selective layer)) {
                continue;
            }
            List<String> sorted = byValve(layer.valve());
            int some = Math.min(OPENERS, sorted.size() / 2);
            html.append("<tr><td>")
                    .append(i + 1)
                    .append("</td><td>")
                    .append(chips(
                            sorted.subList(sorted.size() - some, sorted.size()).reversed()))
                    .append("</td><td>")
                    .append(chips(sorted.subList(0, some)))
                    .append("</td></tr>\n");
        }
        return html.append("</table>").toString();
    }

    /** Different tokens that occur more than once, those first that open the valve least. */
    private List<String> byValve(List<Double> valve) {
        Map<Integer, List<Double>> byToken = new TreeMap<>();
        for (int t = 0; t < valve.size(); t++) {
            byToken.computeIfAbsent(text.tokens()[t], token -> new ArrayList<>())
                    .add(valve.get(t));
        }
        return byToken.entrySet().stream()
                .filter(entry -> entry.getValue().size() > 1)
                .sorted(Comparator.comparingDouble(entry -> DynamicsReport.mean(entry.getValue())))
                .map(entry -> TokenizeCommand.visible(text.tokenizer().bytes(entry.getKey())))
                .toList();
    }

    private static String chips(List<String> tokens) {
        return tokens.stream()
                .map(token -> "<code>"
                        + Html.escape(token.substring(1, token.length() - 1).replace(' ', '␣')) + "</code>")
                .collect(Collectors.joining(" "));
    }
}
