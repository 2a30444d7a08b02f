package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.torch.fidelity.Dynamics;
import org.mamba4j.torch.fidelity.KernelShape;
import org.mamba4j.torch.fidelity.TimeScales;

/**
 * The pictures of a {@link DynamicsReport}; those of all models have the same axes.
 *
 * @param all models
 * @param lives how half-lives are shaded
 */
record DynamicsCharts(List<Dynamics> all, DynamicsText.Range lives) {
    private static final int WIDTH = 640;
    private static final int LEFT = 44;
    private static final int ROW = 22;
    private static final int FOOT = 44;
    private static final int KERNELS = 288;

    /** Responses are shown down to this share of the greatest. */
    private static final double LEAST_SHOWN = 1e-5;

    /** How a layer's states share out over time scales, a row a layer, with a mark at the median. */
    String timeScales(Dynamics model, Function<Dynamics.Layer, TimeScales> scales, String title) {
        int[] used = IntStream.range(0, TimeScales.BINS)
                .filter(bin -> all.stream()
                        .flatMap(d -> d.layers().stream())
                        .anyMatch(layer -> scales.apply(layer).shares().get(bin) > 0))
                .toArray();
        int first = used[0] / TimeScales.PER_DECADE * TimeScales.PER_DECADE;
        int bins = (used[used.length - 1] / TimeScales.PER_DECADE + 1) * TimeScales.PER_DECADE - first;
        List<Dynamics.Layer> layers = model.layers();
        CellPicture picture = new CellPicture(bins, layers.size());
        StringBuilder marks = new StringBuilder();
        double cell = (double) (WIDTH - LEFT) / bins;
        for (int i = 0; i < layers.size(); i++) {
            TimeScales one = scales.apply(layers.get(i));
            double most =
                    one.shares().stream().mapToDouble(Double::doubleValue).max().orElse(1);
            int row = layers.size() - 1 - i;
            for (int bin = 0; bin < bins; bin++) {
                picture.set(bin, row, CellPicture.blue(one.shares().get(first + bin) / most));
            }
            double at = LEFT + cell * TimeScales.PER_DECADE * Math.log10(one.quantile(0.5) / TimeScales.edge(first));
            marks.append(String.format(
                    Locale.ROOT,
                    "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>%n",
                    at,
                    at,
                    ROW * row + 3,
                    ROW * row + ROW - 4));
        }
        for (int bin = 0; bin <= bins; bin += TimeScales.PER_DECADE) {
            marks.append(tick(
                    LEFT + bin * cell,
                    ROW * layers.size(),
                    PageParts.power(TimeScales.edge(first + bin)),
                    bin == bins));
        }
        return rows(layers.size(), picture, marks.toString(), title);
    }

    /** Δ along the text, a row a layer, each from its own least to its greatest. */
    String valveMap(Dynamics model) {
        return alongTheText(model, layer -> {
            DynamicsText.Range range = DynamicsText.Range.of(layer.valve());
            return t -> CellPicture.blue(range.share(layer.valve().get(t)));
        });
    }

    /** Half-lives along the text, a row a layer. */
    String survival(Dynamics model) {
        return alongTheText(model, layer -> t -> CellPicture.green(lives.share(DynamicsText.life(layer, t))));
    }

    /** A row a layer; white where a layer treats all tokens alike. */
    private static String alongTheText(Dynamics model, Function<Dynamics.Selective, IntUnaryOperator> colours) {
        List<Dynamics.Layer> layers = model.layers();
        int length = model.selective().getFirst().valve().size();
        CellPicture picture = new CellPicture(length, layers.size());
        for (int i = 0; i < layers.size(); i++) {
            IntUnaryOperator colour =
                    layers.get(i) instanceof Dynamics.Selective layer ? colours.apply(layer) : t -> CellPicture.WHITE;
            for (int t = 0; t < length; t++) {
                picture.set(t, layers.size() - 1 - i, colour.applyAsInt(t));
            }
        }
        return rows(layers.size(), picture, positions(length, layers.size()), "token");
    }

    private static String positions(int length, int rows) {
        StringBuilder ticks = new StringBuilder();
        for (double at : SvgChart.ticks(0, length)) {
            ticks.append(tick(
                    LEFT + (WIDTH - LEFT) * at / length,
                    ROW * rows,
                    String.format(Locale.ROOT, "%,.0f", at),
                    at > 0.97 * length));
        }
        return ticks.toString();
    }

    private static String tick(double x, int y, String text, boolean last) {
        return String.format(
                Locale.ROOT,
                "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>%n<text x=\"%.1f\" y=\"%d\""
                        + " text-anchor=\"%s\">%s</text>%n",
                x,
                x,
                y,
                y + 4,
                x,
                y + 19,
                last ? "end" : "middle",
                Html.escape(text));
    }

    /** A picture of as many rows as layers, the first layer at the bottom. */
    private static String rows(int layers, CellPicture picture, String marks, String title) {
        StringBuilder svg = new StringBuilder(String.format(
                Locale.ROOT,
                "<svg viewBox=\"0 0 %d %d\" role=\"img\">%n%s",
                WIDTH,
                ROW * layers + FOOT,
                picture.toSvg(LEFT, 0, WIDTH - LEFT, ROW * layers)));
        int every = Math.max(1, layers / 12);
        for (int i = 0; i < layers; i++) {
            int y = ROW * (layers - 1 - i);
            svg.append(String.format(
                    Locale.ROOT, "<line class=\"gap\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>%n", LEFT, WIDTH, y, y));
            if (i % every == 0 || i == layers - 1) {
                svg.append(String.format(
                        Locale.ROOT,
                        "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>%n",
                        LEFT - 8,
                        y + 15,
                        i + 1));
            }
        }
        return svg.append(marks)
                .append(String.format(
                        Locale.ROOT,
                        "<text class=\"title\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>%n</svg>",
                        (LEFT + WIDTH) / 2,
                        ROW * layers + FOOT - 6,
                        Html.escape(title)))
                .toString();
    }

    /** Mean cosine of C with an earlier B by lag, a line a layer. */
    String alignment(Dynamics model) {
        List<SvgChart.Series> series = new ArrayList<>();
        double last = model.lags().getLast() + 1.0;
        series.add(new SvgChart.Series(
                "", "hidden", List.of(SvgChart.Point.of(1, -1), SvgChart.Point.of(last, 1)), false));
        int layers = model.layers().size();
        for (int i = 0; i < layers; i++) {
            if (model.layers().get(i) instanceof Dynamics.Selective layer) {
                series.add(new SvgChart.Series(
                        "", PageParts.lineStyle(i, layers), points(model.lags(), layer.alignment(), -1), false));
            }
        }
        return PageParts.ramp(layers, "mean cosine")
                + new SvgChart(
                                lagAxis(model.lags()),
                                new SvgChart.Axis("", false, List.of(-1.0, -0.5, 0.0, 0.5, 1.0), SvgChart::plain),
                                series)
                        .toSvg();
    }

    /** Cosines of all pieces of the text. */
    String alignmentMap(Dynamics.Selective layer) {
        int size = layer.alignmentMap().size();
        CellPicture picture = new CellPicture(size, size);
        for (int row = 0; row < size; row++) {
            for (int column = 0; column < size; column++) {
                picture.set(
                        column,
                        row,
                        column <= row
                                ? CellPicture.signed(
                                        layer.alignmentMap().get(row).get(column))
                                : CellPicture.WHITE);
            }
        }
        return String.format(
                Locale.ROOT,
                "<svg class=\"square\" viewBox=\"0 0 340 330\" role=\"img\">%n%s<text class=\"title\" x=\"180\" y=\"324\""
                        + " text-anchor=\"middle\">written: place in the text →</text>%n<text class=\"title\""
                        + " transform=\"translate(30 150) rotate(-90)\" text-anchor=\"middle\">← read</text>%n</svg>",
                picture.toSvg(40, 4, 296, 296));
    }

    /** Kernels of some channels, a row each, each by its own greatest value. */
    String kernels(Dynamics.Invariant layer) {
        KernelShape shape = layer.kernel();
        int columns = shape.places().size();
        int rows = shape.channels().size();
        CellPicture picture = new CellPicture(columns, rows);
        for (int i = 0; i < rows; i++) {
            List<Double> kernel = shape.channels().get(i);
            double most = kernel.stream().mapToDouble(Math::abs).max().orElse(1);
            for (int column = 0; column < columns; column++) {
                picture.set(column, rows - 1 - i, CellPicture.signed(kernel.get(column) / Math.max(1e-30, most)));
            }
        }
        StringBuilder ticks = new StringBuilder();
        int last = shape.places().getLast();
        for (int lag = 0; lag <= last; lag = lag == 0 ? 1 : 4 * lag) {
            double octaves = Math.log(lag + 1.0) / Math.log(2);
            double at = LEFT + (WIDTH - LEFT) * (octaves * KernelShape.PER_OCTAVE + 0.5) / columns;
            ticks.append(tick(at, KERNELS, lag == 0 ? "0" : Lengths.format(lag), at > WIDTH - 16));
        }
        return String.format(
                Locale.ROOT,
                "<svg viewBox=\"0 0 %d %d\" role=\"img\">%n%s%s<text class=\"title\" x=\"%d\" y=\"%d\""
                        + " text-anchor=\"middle\">l, tokens since</text>%n<text class=\"title\" transform=\"translate(%d"
                        + " %d) rotate(-90)\" text-anchor=\"middle\">channels</text>%n</svg>",
                WIDTH,
                KERNELS + FOOT,
                picture.toSvg(LEFT, 0, WIDTH - LEFT, KERNELS),
                ticks,
                (LEFT + WIDTH) / 2,
                KERNELS + FOOT - 6,
                LEFT - 14,
                KERNELS / 2);
    }

    /** Impulse responses of a layer. */
    String responses(Dynamics.Selective layer) {
        Dynamics.Responses responses = layer.responses();
        return responses(
                List.of(responses.frozen(), responses.shut(), responses.typical(), responses.open()),
                List.of("frozen", "shut", "middle", "open"),
                List.of("frozen", "shut", "middle", "open"));
    }

    /** The one response of a layer that treats all tokens alike. */
    String responses(Dynamics.Invariant layer) {
        return responses(List.of(layer.kernel().response()), List.of("open"), List.of("every token"));
    }

    private String responses(List<List<Double>> curves, List<String> styles, List<String> names) {
        List<Integer> lags = all.getFirst().lags();
        double top = Math.max(
                1e-30,
                curves.stream()
                        .flatMap(List::stream)
                        .mapToDouble(Double::doubleValue)
                        .max()
                        .orElse(1));
        List<SvgChart.Series> series = new ArrayList<>();
        series.add(new SvgChart.Series(
                "",
                "hidden",
                List.of(SvgChart.Point.of(1, top), SvgChart.Point.of(lags.getLast() + 1.0, LEAST_SHOWN * top)),
                false));
        for (int i = 0; i < curves.size(); i++) {
            series.add(new SvgChart.Series(
                    names.get(i), styles.get(i), points(lags, curves.get(i), LEAST_SHOWN * top), false));
        }
        List<Double> decades = new ArrayList<>();
        for (double tick = Math.pow(10, Math.floor(Math.log10(top))); tick > LEAST_SHOWN * top; tick /= 10) {
            decades.add(tick);
        }
        return new SvgChart(
                        lagAxis(lags),
                        new SvgChart.Axis("size of the response", true, decades, PageParts::power),
                        series)
                .toSvg();
    }

    /** Up to the first value that is below the range. */
    private static List<SvgChart.Point> points(List<Integer> lags, List<Double> values, double least) {
        List<SvgChart.Point> points = new ArrayList<>();
        for (int i = 0; i < Math.min(lags.size(), values.size()) && values.get(i) >= least; i++) {
            points.add(SvgChart.Point.of(lags.get(i) + 1.0, values.get(i)));
        }
        return points;
    }

    private static SvgChart.Axis lagAxis(List<Integer> lags) {
        List<Double> ticks = lags.stream()
                .filter(lag -> lag == 0 || (Integer.bitCount(lag) == 1 && Integer.numberOfTrailingZeros(lag) % 2 == 0))
                .map(lag -> lag + 1.0)
                .toList();
        return new SvgChart.Axis(
                "k, tokens since",
                true,
                ticks,
                value -> value < 1.5 ? "0" : Lengths.format((int) Math.round(value - 1)));
    }
}
