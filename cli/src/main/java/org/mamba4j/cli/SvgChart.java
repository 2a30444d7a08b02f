package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleFunction;

/**
 * A line chart as inline SVG, for a page that must stand alone. Axes, ticks at round values, lines, points with bars.
 */
final class SvgChart {
    private static final int WIDTH = 760;
    private static final int HEIGHT = 340;
    private static final int LEFT = 72;
    private static final int RIGHT = 24;
    private static final int TOP = 16;
    private static final int BOTTOM = 52;

    /**
     * A series.
     *
     * @param name for the legend; empty for none
     * @param style CSS class of line and points
     * @param points in the order of x
     * @param marked whether points are drawn, with their bars
     */
    record Series(String name, String style, List<Point> points, boolean marked) {}

    /**
     * A measured value.
     *
     * @param low lower end of its bar, y for none
     * @param high upper end of its bar, y for none
     */
    record Point(double x, double y, double low, double high) {
        static Point of(double x, double y) {
            return new Point(x, y, y, y);
        }
    }

    /**
     * What an axis says.
     *
     * @param title with the unit
     * @param logarithmic equal factors take equal room
     * @param labels the ticks to show; empty for round values
     * @param format of a tick
     */
    record Axis(String title, boolean logarithmic, List<Double> labels, DoubleFunction<String> format) {}

    private final Axis x;
    private final Axis y;
    private final List<Series> series;
    private final double[] xRange;
    private final double[] yRange;

    SvgChart(Axis x, Axis y, List<Series> series) {
        this.x = x;
        this.y = y;
        this.series = series.stream().filter(s -> !s.points().isEmpty()).toList();
        List<Point> all = this.series.stream().flatMap(s -> s.points().stream()).toList();
        this.xRange = range(
                all.stream().mapToDouble(Point::x).min().orElse(1),
                all.stream().mapToDouble(Point::x).max().orElse(2),
                x.logarithmic() ? 0.05 : 0);
        this.yRange = range(
                all.stream().mapToDouble(Point::low).min().orElse(0),
                all.stream().mapToDouble(Point::high).max().orElse(1),
                y.logarithmic() ? 0 : 0.06);
    }

    /** Some room around the values; a single value gets some as well. */
    private static double[] range(double low, double high, double margin) {
        double span = high > low ? high - low : Math.max(1e-9, Math.abs(low) * 0.1);
        double below = high > low ? low : low - span;
        double above = high > low ? high : high + span;
        double room = margin * span;
        return new double[] {low > 0 ? Math.max(below - room, below / (1 + 2 * margin)) : below - room, above + room};
    }

    /** The {@code svg} element. */
    String toSvg() {
        StringBuilder svg = new StringBuilder();
        svg.append(String.format(Locale.ROOT, "<svg viewBox=\"0 0 %d %d\" role=\"img\">%n", WIDTH, HEIGHT));
        for (double tick : y.labels().isEmpty() ? ticks(yRange[0], yRange[1]) : y.labels()) {
            double at = placeY(tick);
            svg.append(String.format(
                    Locale.ROOT,
                    "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>%n",
                    LEFT,
                    WIDTH - RIGHT,
                    at,
                    at));
            svg.append(String.format(
                    Locale.ROOT,
                    "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>%n",
                    LEFT - 8,
                    at + 4,
                    Html.escape(y.format().apply(tick))));
        }
        for (double tick : x.labels().isEmpty() ? ticks(xRange[0], xRange[1]) : x.labels()) {
            svg.append(String.format(
                    Locale.ROOT,
                    "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>%n",
                    placeX(tick),
                    HEIGHT - BOTTOM + 20,
                    Html.escape(x.format().apply(tick))));
        }
        svg.append(String.format(
                Locale.ROOT,
                "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>%n",
                LEFT,
                WIDTH - RIGHT,
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM));
        svg.append(String.format(
                Locale.ROOT,
                "<text class=\"title\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>%n",
                (LEFT + WIDTH - RIGHT) / 2,
                HEIGHT - 10,
                Html.escape(x.title())));
        svg.append(String.format(
                Locale.ROOT,
                "<text class=\"title\" transform=\"translate(12 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>%n",
                (TOP + HEIGHT - BOTTOM) / 2,
                Html.escape(y.title())));
        series.forEach(s -> draw(s, svg));
        legend(svg);
        return svg.append("</svg>").toString();
    }

    private void draw(Series s, StringBuilder svg) {
        StringBuilder path = new StringBuilder();
        for (Point p : s.points()) {
            path.append(String.format(
                    Locale.ROOT, "%s%.1f %.1f ", path.isEmpty() ? "M" : "L", placeX(p.x()), placeY(p.y())));
        }
        svg.append(String.format(
                Locale.ROOT,
                "<path class=\"%s\" d=\"%s\"/>%n",
                s.style(),
                path.toString().strip()));
        if (s.marked()) {
            for (Point p : s.points()) {
                if (p.high() > p.low()) {
                    svg.append(String.format(
                            Locale.ROOT,
                            "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>%n",
                            s.style(),
                            placeX(p.x()),
                            placeX(p.x()),
                            placeY(p.low()),
                            placeY(p.high())));
                }
                svg.append(String.format(
                        Locale.ROOT,
                        "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>%n",
                        s.style(),
                        placeX(p.x()),
                        placeY(p.y())));
            }
        }
    }

    private void legend(StringBuilder svg) {
        int at = WIDTH - RIGHT;
        for (int i = series.size() - 1; i >= 0 && series.size() > 1; i--) {
            Series s = series.get(i);
            if (s.name().isEmpty()) {
                continue;
            }
            int width = 34 + 7 * s.name().length();
            at -= width;
            svg.append(String.format(
                    Locale.ROOT,
                    "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>%n",
                    s.style(),
                    at,
                    at + 20,
                    TOP + 8,
                    TOP + 8));
            svg.append(String.format(
                    Locale.ROOT, "<text x=\"%d\" y=\"%d\">%s</text>%n", at + 26, TOP + 12, Html.escape(s.name())));
        }
    }

    private double placeX(double value) {
        return LEFT + share(value, xRange, x) * (WIDTH - RIGHT - LEFT);
    }

    private double placeY(double value) {
        return HEIGHT - BOTTOM - share(value, yRange, y) * (HEIGHT - BOTTOM - TOP);
    }

    private static double share(double value, double[] range, Axis axis) {
        return axis.logarithmic()
                ? (Math.log(value) - Math.log(range[0])) / (Math.log(range[1]) - Math.log(range[0]))
                : (value - range[0]) / (range[1] - range[0]);
    }

    /** Four to eight values of the form 1, 2 or 5 · 10^k that lie in the range. */
    static List<Double> ticks(double low, double high) {
        double rough = (high - low) / 5;
        double power = Math.pow(10, Math.floor(Math.log10(rough)));
        double step = power * 10;
        for (double factor : new double[] {5, 2, 1}) {
            if (factor * power >= rough) {
                step = factor * power;
            }
        }
        List<Double> ticks = new ArrayList<>();
        for (long k = (long) Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
            ticks.add(k * step);
        }
        return ticks;
    }

    /** A value with as many digits as it needs, at most three after the point. */
    static String plain(double value) {
        String digits = String.format(Locale.ROOT, "%.3f", value);
        return digits.replaceAll("\\.?0+$", "");
    }
}
