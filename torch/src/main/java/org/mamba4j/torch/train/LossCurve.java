package org.mamba4j.torch.train;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.mamba4j.checkpoint.AtomicFile;

/** The picture of a run: training loss, raw and smoothed, and validation loss over the steps. */
public final class LossCurve {
    private static final Color FAINT = new Color(0x9ec5e8);
    private static final Color BLUE = new Color(0x1f5fa8);
    private static final Color RED = new Color(0xc8442b);
    private static final Color GRID = new Color(0xe6e6e6);
    /** Share of the plotted points over which the smoothed line averages. */
    private static final double WINDOW = 0.03;

    private LossCurve() {}

    /**
     * Draws the curves; a picture that is there already is replaced at once.
     *
     * @param png file to write, 2,000 × 1,200 pixels
     * @param title above the plot
     * @param unit what a token is, for the axis: {@code byte} or {@code token}
     * @param history of the run; without any loss, nothing is written
     * @throws IOException if the picture cannot be encoded
     * @throws org.mamba4j.UserError if the file cannot be written
     */
    public static void write(Path png, String title, String unit, List<Metrics> history) throws IOException {
        Curve train = Curve.of(history, Metrics.TRAIN_LOSS);
        Curve valid = Curve.of(history, Metrics.VALID_LOSS);
        if (train.x.isEmpty() && valid.x.isEmpty()) {
            return;
        }
        XYChart chart = new XYChartBuilder()
                .width(1000)
                .height(600)
                .title(title)
                .xAxisTitle("step")
                .yAxisTitle("loss (bits per " + unit + ")")
                .build();
        style(chart, train, valid);
        if (!train.x.isEmpty()) {
            line(chart.addSeries("train", train.x, train.y), FAINT, 1f);
            line(chart.addSeries("train, smoothed", train.x, smooth(train.y)), BLUE, 2.4f);
        }
        if (!valid.x.isEmpty()) {
            XYSeries series = chart.addSeries("validation", valid.x, valid.y);
            line(series, RED, 2.4f);
            series.setMarker(SeriesMarkers.CIRCLE).setMarkerColor(RED);
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        if (!ImageIO.write(paint(chart), "png", bytes)) {
            throw new IOException("this Java has no writer of PNG files");
        }
        AtomicFile.writeBytes(png, bytes.toByteArray());
    }

    /** Twice as many pixels as the layout asks for: sharp on every screen. */
    private static BufferedImage paint(XYChart chart) {
        int width = chart.getWidth();
        int height = chart.getHeight();
        BufferedImage image = new BufferedImage(2 * width, 2 * height, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = image.createGraphics();
        graphics.scale(2, 2);
        chart.paint(graphics, width, height);
        graphics.dispose();
        return image;
    }

    private static void line(XYSeries series, Color color, float width) {
        series.setMarker(SeriesMarkers.NONE)
                .setLineColor(color)
                .setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
    }

    private static void style(XYChart chart, Curve train, Curve valid) {
        var styler = chart.getStyler();
        styler.setLegendPosition(LegendPosition.InsideNE);
        styler.setLegendBorderColor(GRID).setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
        styler.setChartBackgroundColor(Color.WHITE).setPlotBorderColor(GRID);
        styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 17)).setChartTitleBoxVisible(false);
        styler.setPlotGridLinesColor(GRID);
        styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 15));
        styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
        styler.setMarkerSize(5);
        styler.setXAxisMin(0.0);
        // The first steps are so much worse than the rest that they would press everything else to the bottom.
        double top = top(train, valid);
        double low = Math.min(train.min(), valid.min());
        styler.setYAxisMin(Math.max(0, low - 0.08 * (top - low))).setYAxisMax(top);
        styler.setYAxisDecimalPattern("0.0#");
        styler.setXAxisDecimalPattern("#,###");
    }

    /** Just above the loss after a tenth of the points. */
    private static double top(Curve train, Curve valid) {
        Curve curve = train.x.isEmpty() ? valid : train;
        double start = curve.y.getFirst();
        double tenth = curve.y.get(curve.y.size() / 10);
        double low = Math.min(train.min(), valid.min());
        return Math.min(start, tenth + 0.6 * (tenth - low)) + 0.05 * Math.max(0.1, start - low);
    }

    /** Mean over a window that ends at each point, like what a reader of the numbers has seen so far. */
    static List<Double> smooth(List<Double> values) {
        int window = Math.max(1, (int) Math.round(values.size() * WINDOW));
        List<Double> smooth = new ArrayList<>(values.size());
        double sum = 0;
        for (int i = 0; i < values.size(); i++) {
            sum += values.get(i) - (i >= window ? values.get(i - window) : 0);
            smooth.add(sum / Math.min(i + 1, window));
        }
        return smooth;
    }

    private record Curve(List<Double> x, List<Double> y) {
        static Curve of(List<Metrics> history, String name) {
            Curve curve = new Curve(new ArrayList<>(), new ArrayList<>());
            for (Metrics m : history) {
                double nats = m.get(name);
                if (Double.isFinite(nats)) {
                    curve.x.add((double) m.step());
                    curve.y.add(nats / Math.log(2));
                }
            }
            return curve;
        }

        double min() {
            return y.stream().mapToDouble(Double::doubleValue).min().orElse(Double.POSITIVE_INFINITY);
        }
    }
}
