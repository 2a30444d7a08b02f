package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.mamba4j.inference.Generation;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.tasks.PerplexityResult;
import org.mamba4j.torch.train.Metrics;
import org.mamba4j.torch.train.TrainResult;

/**
 * The demo's report: one page that needs no other file.
 *
 * @param trained how training ended
 * @param metrics what was measured on the way
 * @param perplexity by context length
 * @param prompt what the sample continues
 * @param sample the model's text
 * @param facts what was run, on which machine: label and value
 * @param config the run's configuration as YAML
 * @param commands to go on with
 */
record DemoReport(
        TrainResult trained,
        List<Metrics> metrics,
        PerplexityResult perplexity,
        String prompt,
        Generation sample,
        Map<String, String> facts,
        String config,
        List<String> commands) {
    private static final double LN2 = Math.log(2);

    String toHtml() {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("title", "A small Mamba, trained on this machine");
        values.put("subtitle", Html.escape(facts.getOrDefault("text", "")));
        values.put("cards", cards());
        values.put("loss-chart", lossChart());
        values.put(
                "loss-note",
                "Bits per token (a byte here): the cross entropy of the next token. Validation is on documents that training never saw.");
        values.put("perplexity-chart", perplexityChart());
        values.put(
                "perplexity-note",
                Html.escape("Scored: " + PerplexityCommand.note(perplexity)
                        + ", on validation documents. Bars and intervals: 95 %, Student, over windows."));
        values.put("perplexity-table", perplexityTable());
        values.put("sample", "<span class=\"prompt\">" + Html.escape(prompt) + "</span>" + Html.escape(sample.text()));
        values.put(
                "sample-note",
                String.format(
                        Locale.ROOT,
                        "Grey: the prompt. %,d tokens, %,.0f a second.",
                        sample.newTokens(),
                        sample.newTokens() / Math.max(1e-9, sample.newSeconds())));
        values.put("commands", Html.escape(String.join("\n", commands)));
        values.put("facts-table", factsTable());
        values.put("config", Html.escape(config));
        return Html.fill("report.html", values);
    }

    private String cards() {
        return card(String.format(Locale.ROOT, "%.3f", trained.validBitsPerByte()), "validation bits per byte")
                + card(facts.getOrDefault("parameters", ""), "parameters")
                + card(duration(trained.seconds()), "of training")
                + card(
                        String.format(Locale.ROOT, "%,.0f", trained.tokens() / Math.max(1e-9, trained.seconds())),
                        "tokens a second")
                + card(String.format(Locale.ROOT, "%,d", trained.tokens()), "tokens read");
    }

    private static String card(String value, String label) {
        return "<div class=\"card\"><b>" + Html.escape(value) + "</b><span>" + Html.escape(label) + "</span></div>\n";
    }

    private String lossChart() {
        List<SvgChart.Point> train = new ArrayList<>();
        List<SvgChart.Point> valid = new ArrayList<>();
        for (Metrics line : metrics) {
            double trainLoss = line.get(Metrics.TRAIN_LOSS);
            double validLoss = line.get(Metrics.VALID_LOSS);
            if (Double.isFinite(trainLoss)) {
                train.add(SvgChart.Point.of(line.step(), trainLoss / LN2));
            }
            if (Double.isFinite(validLoss)) {
                valid.add(SvgChart.Point.of(line.step(), validLoss / LN2));
            }
        }
        return new SvgChart(
                        new SvgChart.Axis(
                                "step", false, List.of(), value -> String.format(Locale.ROOT, "%,.0f", value)),
                        new SvgChart.Axis("bits per token", false, List.of(), SvgChart::plain),
                        List.of(
                                new SvgChart.Series("training", "faint", train, false),
                                new SvgChart.Series("validation", "second", valid, true)))
                .toSvg();
    }

    private String perplexityChart() {
        List<SvgChart.Point> points = perplexity.lengths().stream()
                .map(at -> new SvgChart.Point(
                        at.length(),
                        at.perplexity().value(),
                        at.perplexity().low(),
                        at.perplexity().high()))
                .toList();
        List<Double> labels = points.stream().map(SvgChart.Point::x).toList();
        return new SvgChart(
                        new SvgChart.Axis(
                                "context length (tokens)", true, labels, value -> Lengths.format((int) value)),
                        new SvgChart.Axis("perplexity", false, List.of(), SvgChart::plain),
                        List.of(new SvgChart.Series("perplexity", "main", points, true)))
                .toSvg();
    }

    private String perplexityTable() {
        StringBuilder table = new StringBuilder(
                "<table><tr><th>context</th><th>perplexity</th><th>95 % interval</th><th>bits per byte</th><th>tokens a second</th></tr>\n");
        for (PerplexityResult.AtLength at : perplexity.lengths()) {
            table.append(String.format(
                    Locale.ROOT,
                    "<tr><td>%,d</td><td>%.3f</td><td>%.3f – %.3f</td><td>%.3f</td><td>%,.0f</td></tr>%n",
                    at.length(),
                    at.perplexity().value(),
                    at.perplexity().low(),
                    at.perplexity().high(),
                    at.bitsPerByte().value(),
                    at.tokensPerSecond()));
        }
        return table.append("</table>").toString();
    }

    private String factsTable() {
        StringBuilder table = new StringBuilder("<table class=\"facts\">\n");
        facts.forEach((label, value) -> table.append("<tr><td>")
                .append(Html.escape(label))
                .append("</td><td>")
                .append(Html.escape(value))
                .append("</td></tr>\n"));
        return table.append("</table>").toString();
    }

    /** As {@code m:ss min} or {@code h:mm:ss h}, like the progress line. */
    static String duration(double seconds) {
        long whole = Math.round(seconds);
        return whole < 3600
                ? String.format(Locale.ROOT, "%d:%02d min", whole / 60, whole % 60)
                : String.format(Locale.ROOT, "%d:%02d:%02d h", whole / 3600, whole / 60 % 60, whole % 60);
    }
}
