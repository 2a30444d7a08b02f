package org.mamba4j.experiments;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.ToDoubleFunction;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A chart of lines with points.
 *
 * @param file its file's name, without an ending
 * @param title what it shows
 * @param x what goes to the right
 * @param y what goes up
 * @param series in the order of the legend
 */
public record LineChart(String file, String title, Axis x, Axis y, List<Series> series) {
    private static final Color INK = new Color(0x22, 0x22, 0x22);
    private static final List<Color> COLOURS = List.of(
            new Color(0x1F, 0x5A, 0xA6),
            new Color(0xC2, 0x57, 0x1A),
            new Color(0x2E, 0x7D, 0x4F),
            new Color(0x7A, 0x4F, 0xA3),
            new Color(0xB0, 0x2E, 0x4B),
            new Color(0x4A, 0x8C, 0x9C),
            new Color(0x8A, 0x6D, 0x1F),
            new Color(0x66, 0x66, 0x66));

    /**
     * An axis.
     *
     * @param title with the unit
     * @param logarithmic equal factors take equal room; all values are above 0 then
     */
    public record Axis(String title, boolean logarithmic) {}

    /**
     * A line.
     *
     * @param name for the legend
     * @param points in the order of x
     * @param dashed for published or fitted values
     */
    public record Series(String name, List<Point> points, boolean dashed) {
        /** Copies {@code points}. */
        public Series {
            points = List.copyOf(points);
        }

        /** A solid line. */
        public static Series of(String name, List<Point> points) {
            return new Series(name, points, false);
        }
    }

    /**
     * A measured value.
     *
     * @param low lower end of its bar, y for none
     * @param high upper end of its bar, y for none
     */
    public record Point(double x, double y, double low, double high) {
        /** Without a bar. */
        public static Point of(double x, double y) {
            return new Point(x, y, y, y);
        }
    }

    /** Leaves out series without points. */
    public LineChart {
        series = series.stream().filter(one -> !one.points().isEmpty()).toList();
    }

    boolean isEmpty() {
        return series.isEmpty();
    }

    /** A PNG of 1,600 × 1,000 pixels, for display at half that size. */
    public byte[] png() {
        XYChart chart = new XYChartBuilder()
                .width(1600)
                .height(1000)
                .title(title)
                .xAxisTitle(x.title())
                .yAxisTitle(y.title())
                .build();
        style(chart.getStyler());
        int colours = 0;
        for (Series line : series) {
            // A dashed line belongs to the solid one before it.
            colours += line.dashed() && colours > 0 ? 0 : 1;
            draw(chart, line, COLOURS.get((colours - 1) % COLOURS.size()));
        }
        var png = new ByteArrayOutputStream();
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", png);
        } catch (IOException e) {
            throw new UncheckedIOException(e); // never: the array has no medium that could fail
        }
        return png.toByteArray();
    }

    private static void draw(XYChart chart, Series line, Color colour) {
        double[] bars = values(line, point -> Math.max(point.high() - point.y(), point.y() - point.low()));
        XYSeries drawn = chart.addSeries(line.name(), values(line, Point::x), values(line, Point::y), bars);
        drawn.setMarker(line.dashed() ? SeriesMarkers.NONE : SeriesMarkers.CIRCLE);
        drawn.setMarkerColor(colour);
        drawn.setLineColor(colour);
        drawn.setLineStyle(
                line.dashed()
                        ? new BasicStroke(
                                3f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1f, new float[] {12f, 10f}, 0f)
                        : new BasicStroke(4f));
    }

    private static double[] values(Series line, ToDoubleFunction<Point> value) {
        return line.points().stream().mapToDouble(value).toArray();
    }

    /** Within a decade a logarithmic axis has hardly a number beside it, and little to show. */
    private boolean spansADecade() {
        double[] all = series.stream()
                .flatMap(line -> line.points().stream())
                .mapToDouble(Point::y)
                .sorted()
                .toArray();
        return all.length > 0 && all[all.length - 1] > 10 * all[0];
    }

    private void style(XYStyler styler) {
        styler.setXAxisLogarithmic(x.logarithmic());
        styler.setYAxisLogarithmic(y.logarithmic() && spansADecade());
        if (y.title().endsWith("(%)")) { // shares are read against nothing and all
            styler.setYAxisMin(0.0);
            styler.setYAxisMax(100.0);
        }
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotBorderVisible(false);
        styler.setPlotGridLinesColor(new Color(0xE4, 0xE4, 0xE4));
        styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 34));
        styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 28));
        styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 26));
        styler.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 26));
        styler.setChartFontColor(INK);
        styler.setAxisTickLabelsColor(INK);
        styler.setErrorBarsColorSeriesColor(true);
        styler.setLegendPosition(LegendPosition.OutsideE);
        styler.setMarkerSize(14);
        styler.setChartPadding(30);
        styler.setAxisTitlePadding(20);
    }
}
