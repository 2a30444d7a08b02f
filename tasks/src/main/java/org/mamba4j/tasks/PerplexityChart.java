package org.mamba4j.tasks;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws perplexity over context length; the bars are the 95 % intervals. */
public final class PerplexityChart {
    private static final Color INK = new Color(0x22, 0x22, 0x22);
    private static final Color LINE = new Color(0x1F, 0x5A, 0xA6);

    private PerplexityChart() {}

    /** The chart as a PNG of 1,600 × 1,000 pixels, for display at half that size. */
    public static byte[] png(PerplexityResult result) {
        XYChart chart = new XYChartBuilder()
                .width(1600)
                .height(1000)
                .title("Perplexity of the last " + result.scored() + " tokens by context length")
                .xAxisTitle("context length (tokens)")
                .yAxisTitle("perplexity")
                .build();
        style(chart);
        List<PerplexityResult.AtLength> points = result.lengths().stream()
                .sorted(Comparator.comparingInt(PerplexityResult.AtLength::length))
                .toList();
        double[] x =
                points.stream().mapToDouble(PerplexityResult.AtLength::length).toArray();
        double[] y = points.stream().mapToDouble(p -> p.perplexity().value()).toArray();
        // Bars are symmetric: the wider side, so that a bar never shows less than the interval.
        double[] bars = points.stream()
                .mapToDouble(p -> p.perplexity().high() - p.perplexity().value())
                .toArray();
        XYSeries series = chart.addSeries("perplexity", x, y, bars);
        series.setMarker(SeriesMarkers.CIRCLE);
        series.setMarkerColor(LINE);
        series.setLineColor(LINE);
        series.setLineStyle(new BasicStroke(4f));
        var labels = new TreeMap<Double, Object>();
        points.forEach(p -> labels.put((double) p.length(), Lengths.format(p.length())));
        chart.setCustomXAxisTickLabelsFormatter(value -> String.valueOf(
                labels.getOrDefault((double) Math.round(value), Lengths.format((int) Math.round(value)))));
        var png = new ByteArrayOutputStream();
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", png);
        } catch (IOException e) {
            throw new UncheckedIOException(e); // never: the array has no medium that could fail
        }
        return png.toByteArray();
    }

    private static void style(XYChart chart) {
        var styler = chart.getStyler();
        styler.setXAxisLogarithmic(true);
        styler.setLegendVisible(false);
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotBorderVisible(false);
        styler.setPlotGridLinesColor(new Color(0xE4, 0xE4, 0xE4));
        styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 34));
        styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 28));
        styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 26));
        styler.setChartFontColor(INK);
        styler.setAxisTickLabelsColor(INK);
        styler.setErrorBarsColor(LINE);
        styler.setMarkerSize(14);
        styler.setChartPadding(30);
        styler.setYAxisDecimalPattern("#,##0.###");
    }
}
