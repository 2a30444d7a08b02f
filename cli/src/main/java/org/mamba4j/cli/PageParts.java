package org.mamba4j.cli;

import java.util.List;
import java.util.Locale;

/** What pages about the layers of one or two models are put together from. */
final class PageParts {
    private static final int SHADES = 24;
    private static final List<String> DOTS = List.of("one", "two");

    /** Of the first model, of the second. */
    static final List<String> COLOURS = List.of("#1f5aa6", "#c2571a");

    private PageParts() {}

    /** A model's name under its colour. */
    static String heading(int index, String name, String type) {
        return "<h3><span class=\"dot " + DOTS.get(index) + "\"></span>" + Html.escape(name) + " <span class=\"soft\">"
                + Html.escape(type) + "</span></h3>\n";
    }

    static String panel(String heading, String content) {
        return "<div class=\"panel\">" + heading + content + "</div>\n";
    }

    static String card(String value, String label) {
        return "<div class=\"card\"><b>" + Html.escape(value) + "</b><span>" + Html.escape(label) + "</span></div>\n";
    }

    /** A class for each of {@value #SHADES} shades: light for the first layers, dark for the last. */
    static String lineColours() {
        StringBuilder css = new StringBuilder();
        for (int i = 0; i < SHADES; i++) {
            css.append(String.format(Locale.ROOT, "svg .l%d { stroke: %s; }%n", i, shade((double) i / (SHADES - 1))));
        }
        return css.toString();
    }

    static String lineStyle(int layer, int layers) {
        return "l" + Math.round((SHADES - 1.0) * layer / Math.max(1, layers - 1));
    }

    /** From yellow over green and blue to violet: lightness falls all the way, so order shows without colour too. */
    static String shade(double share) {
        return String.format(Locale.ROOT, "hsl(%.0f 62%% %.0f%%)", 50 + 230 * share, 58 - 26 * share);
    }

    static String ramp(int layers, String unit) {
        return "<div class=\"key\"><span class=\"unit\">" + unit
                + "</span>layer 1 <span class=\"ramp\" style=\"background:linear-gradient(90deg," + shade(0) + ","
                + shade(0.25) + "," + shade(0.5) + "," + shade(0.75) + "," + shade(1) + ")\"></span> layer " + layers
                + "</div>\n";
    }

    static String power(double value) {
        if (value >= 0.001 && value < 1e4) {
            return SvgChart.plain(value);
        }
        String exponent = Long.toString(Math.round(Math.log10(value)));
        StringBuilder raised = new StringBuilder("10");
        exponent.chars().forEach(c -> raised.append(c == '-' ? '⁻' : "⁰¹²³⁴⁵⁶⁷⁸⁹".charAt(c - '0')));
        return raised.toString();
    }

    /** From paper to blue. */
    static String tint(double share) {
        return String.format(
                Locale.ROOT,
                "rgb(%.0f %.0f %.0f)",
                0xF4 + (0x1F - 0xF4) * share,
                0xF1 + (0x5A - 0xF1) * share,
                0xEA + (0xA6 - 0xEA) * share);
    }
}
