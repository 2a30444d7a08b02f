package org.mamba4j.tasks;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Comparator;
import java.util.List;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.CategorySeries.CategorySeriesRenderStyle;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws perplexity over context length; the bars are the 95 % intervals. */
public final class PerplexityChart {
    private static final Color INK = new Color(0x22, 0x22, 0x22);
    private static final List<Color> COLOURS = List.of(
            new Color(0x1F, 0x5A, 0xA6),
            new Color(0xC2, 0x57, 0x1A),
            new Color(0x2E, 0x7D, 0x4F),
            new Color(0x7A, 0x4F, 0xA3));

    private PerplexityChart() {}

    /**
     * The chart as a PNG of 1,600 × 1,000 pixels, for display at half that size; one place per measured length.
     *
     * @param models at least one, measured at the same lengths
     */
    public static byte[] png(List<ModelPerplexity> models) {
        PerplexityResult first = models.getFirst().result();
        CategoryChart chart = new CategoryChartBuilder()
                .width(1600)
                .height(1000)
                .title("Perplexity of the last " + first.scored() + " tokens by context length")
                .xAxisTitle("context length (tokens)")
                .yAxisTitle("perplexity")
                .build();
        style(
                chart,
                models.stream()
                        .flatMap(model -> model.result().lengths().stream())
                        .toList());
        chart.getStyler().setLegendVisible(models.size() > 1);
        for (int i = 0; i < models.size(); i++) {
            draw(chart, models.get(i), COLOURS.get(i % COLOURS.size()));
        }
        var png = new ByteArrayOutputStream();
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", png);
        } catch (IOException e) {
            throw new UncheckedIOException(e); // never: the array has no medium that could fail
        }
        return png.toByteArray();
    }

    private static void draw(CategoryChart chart, ModelPerplexity model, Color colour) {
        List<PerplexityResult.AtLength> points = model.result().lengths().stream()
                .sorted(Comparator.comparingInt(PerplexityResult.AtLength::length))
                .toList();
        List<Double> values = points.stream().map(p -> p.perplexity().value()).toList();
        // Bars are symmetric: the wider side, so that a bar never shows less than the interval.
        List<Double> bars = points.stream()
                .map(p -> p.perplexity().high() - p.perplexity().value())
                .toList();
        CategorySeries series = chart.addSeries(
                model.model(),
                points.stream().map(p -> Lengths.format(p.length())).toList(),
                values,
                bars);
        series.setMarker(SeriesMarkers.CIRCLE);
        series.setMarkerColor(colour);
        series.setLineColor(colour);
        series.setLineStyle(new BasicStroke(4f));
    }

    private static void style(CategoryChart chart, List<PerplexityResult.AtLength> points) {
        var styler = chart.getStyler();
        styler.setDefaultSeriesRenderStyle(CategorySeriesRenderStyle.Line);
        styler.setLegendVisible(false);
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotBorderVisible(false);
        styler.setPlotGridLinesColor(new Color(0xE4, 0xE4, 0xE4));
        styler.setPlotGridVerticalLinesVisible(false);
        styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 34));
        styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 28));
        styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 26));
        styler.setChartFontColor(INK);
        styler.setAxisTickLabelsColor(INK);
        styler.setErrorBarsColorSeriesColor(true);
        styler.setLegendPosition(LegendPosition.InsideNE);
        styler.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 26));
        styler.setMarkerSize(14);
        styler.setChartPadding(30);
        styler.setAxisTitlePadding(20);
        styler.setYAxisDecimalPattern("#,##0.###");
        // Room around the bars; from zero the differences between lengths would not be seen.
        double low =
                points.stream().mapToDouble(p -> p.perplexity().low()).min().orElse(0);
        double high =
                points.stream().mapToDouble(p -> p.perplexity().high()).max().orElse(1);
        double room = Math.max(0.1 * (high - low), 0.01 * high);
        styler.setYAxisMin(Math.max(0, low - room));
        styler.setYAxisMax(high + room);
    }
}
