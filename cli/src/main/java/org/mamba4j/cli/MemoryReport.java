package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;
import org.mamba4j.tasks.Lengths;
import org.mamba4j.tasks.Passkey;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.fidelity.MemoryStudy;
import org.mamba4j.torch.fidelity.NotedText;

/**
 * What one or two models remember: one page that needs no other file.
 *
 * @param models the model, and perhaps another of the same tokenizer
 * @param tokenizer of all
 * @param example the text whose notes are shown
 * @param facts what was read, one line each
 */
record MemoryReport(List<Studied> models, Tokenizer tokenizer, Passkey.Example example, List<String> facts) {
    private static final double LEAST_SHOWN = 1e-4;

    /**
     * A model.
     *
     * @param name of its folder
     * @param type family
     * @param parameters how many
     */
    record Studied(String name, String type, long parameters, MemoryStudy study, NotedText noted) {}

    String toHtml() {
        Map<String, String> values = new LinkedHashMap<>();
        values.put(
                "title",
                Html.escape(
                        models.size() == 1
                                ? "What " + models.getFirst().name() + " remembers"
                                : "What " + models.getFirst().name() + " and "
                                        + models.getLast().name() + " remember"));
        values.put("subtitle", Html.escape(String.join(" · ", facts)));
        values.put("cards", each((i, model) -> cards(i, model)));
        values.put("line-colours", PageParts.lineColours());
        values.put("decay", each((i, model) -> panel(i, model, decay(model))));
        values.put("half-lives", halfLives());
        values.put("bound", each((i, model) -> panel(i, model, bound(model))));
        values.put(
                "etmf-note",
                "Mean cosine between the embedding of the token k before and its reconstruction from the layer's output by"
                        + " ridge regression, less that of shuffled pairs; fit and scored on different sequences. The name"
                        + " is the MemMamba paper's, the definition this project's: its formula is not public.");
        values.put("etmf", each((i, model) -> panel(i, model, fidelity(model))));
        values.put(
                "eclmf-note",
                "Held-out R² of a ridge regression from a layer's output (row) to that of a layer below (column), at the"
                        + " same token. Again this project's definition of the paper's name.");
        values.put("eclmf", each((i, model) -> panel(i, model, explained(model))));
        values.put("notes", new NotePages(models, tokenizer, example).toHtml());
        return Html.fill("memory.html", values);
    }

    /** Makes a piece of the page for one model. */
    private interface Piece {
        String of(int index, Studied model);
    }

    private String each(Piece piece) {
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < models.size(); i++) {
            all.append(piece.of(i, models.get(i)));
        }
        return all.toString();
    }

    static String heading(int index, Studied model) {
        return PageParts.heading(index, model.name(), model.type());
    }

    private static String panel(int index, Studied model, String content) {
        return PageParts.panel(heading(index, model), content);
    }

    private static String cards(int index, Studied model) {
        List<MemoryStudy.Layer> layers = model.study().layers();
        double[] sorted = layers.stream()
                .mapToDouble(MemoryStudy.Layer::halfLife)
                .sorted()
                .toArray();
        double etmf = layers.stream()
                .mapToDouble(MemoryStudy.Layer::meanFidelity)
                .average()
                .orElse(Double.NaN);
        int most = model.study().lags().getLast();
        StringBuilder html =
                new StringBuilder("<div class=\"model\">" + heading(index, model) + "<div class=\"cards\">");
        html.append(PageParts.card(String.format(Locale.ROOT, "%,d", model.parameters()), "parameters"));
        html.append(PageParts.card(Integer.toString(layers.size()), "layers"));
        html.append(PageParts.card(tokens(sorted[sorted.length / 2], most), "median half-life, tokens"));
        html.append(PageParts.card(tokens(sorted[sorted.length - 1], most), "longest half-life, tokens"));
        html.append(PageParts.card(String.format(Locale.ROOT, "%.3f", etmf), "mean ETMF"));
        double rate = layers.stream()
                .flatMap(layer -> layer.notes().stream())
                .mapToDouble(MemoryStudy.Notes::rate)
                .average()
                .orElse(Double.NaN);
        if (!Double.isNaN(rate)) {
            html.append(PageParts.card(percent(rate), "of tokens noted"));
        }
        return html.append("</div></div>\n").toString();
    }

    private String decay(Studied model) {
        return curves(
                model,
                layer -> {
                    double first = layer.influence().getFirst();
                    return layer.influence().stream().map(w -> w / first).toList();
                },
                new double[] {LEAST_SHOWN, 1},
                "influence, 1 at k = 0");
    }

    private String bound(Studied model) {
        double top = models.stream()
                .flatMap(m -> m.study().layers().stream())
                .flatMap(layer -> layer.bound().stream())
                .filter(Double::isFinite)
                .mapToDouble(Double::doubleValue)
                .max()
                .orElse(1);
        return curves(model, MemoryStudy.Layer::bound, new double[] {1e-3, Math.max(top, 1)}, "bits");
    }

    /** A line for each layer over lag + 1, both axes logarithmic; what is below the range is left out. */
    private static String curves(
            Studied model, Function<MemoryStudy.Layer, List<Double>> values, double[] range, String unit) {
        List<Integer> lags = model.study().lags();
        List<SvgChart.Series> series = new ArrayList<>();
        double last = lags.getLast() + 1.0;
        series.add(new SvgChart.Series(
                "", "hidden", List.of(SvgChart.Point.of(1, range[1]), SvgChart.Point.of(last, range[0])), false));
        List<MemoryStudy.Layer> layers = model.study().layers();
        for (int i = 0; i < layers.size(); i++) {
            List<SvgChart.Point> points = new ArrayList<>();
            List<Double> curve = values.apply(layers.get(i));
            for (int k = 0; k < lags.size(); k++) {
                double value = curve.get(k);
                if (value < range[0]) {
                    break;
                }
                points.add(SvgChart.Point.of(lags.get(k) + 1.0, Math.min(value, range[1])));
            }
            series.add(new SvgChart.Series("", PageParts.lineStyle(i, layers.size()), points, false));
        }
        List<Double> xTicks = lags.stream()
                .filter(lag -> lag == 0 || Integer.numberOfTrailingZeros(lag) % 2 == 0)
                .map(lag -> lag + 1.0)
                .toList();
        List<Double> yTicks = new ArrayList<>();
        for (double tick = 1e-6; tick <= range[1] * 1.001; tick *= 10) {
            if (tick >= range[0] * 0.999) {
                yTicks.add(tick);
            }
        }
        String svg = new SvgChart(
                        new SvgChart.Axis(
                                "k, tokens between",
                                true,
                                xTicks,
                                value -> value < 1.5 ? "0" : Lengths.format((int) Math.round(value - 1))),
                        new SvgChart.Axis("", true, yTicks, PageParts::power),
                        series)
                .toSvg();
        return PageParts.ramp(layers.size(), unit) + svg;
    }

    private String halfLives() {
        int layers = models.stream()
                .mapToInt(model -> model.study().layers().size())
                .max()
                .orElse(0);
        StringBuilder html = new StringBuilder("<table><tr><th>layer</th>");
        models.forEach(model -> html.append("<th style=\"text-align:left\">")
                .append(Html.escape(model.name()))
                .append("</th>"));
        html.append("</tr>\n");
        for (int i = 0; i < layers; i++) {
            html.append("<tr><td>").append(i + 1).append("</td>");
            for (int m = 0; m < models.size(); m++) {
                MemoryStudy study = models.get(m).study();
                html.append("<td class=\"bars\">");
                if (i < study.layers().size()) {
                    int most = study.lags().getLast();
                    double value = study.layers().get(i).halfLife();
                    double share = Math.log1p(Math.min(value, most)) / Math.log1p(most);
                    html.append(String.format(
                            Locale.ROOT,
                            "<span class=\"bar\" style=\"width:%.0f%%;background:%s\"></span>%s",
                            Math.max(1, 75 * share),
                            PageParts.COLOURS.get(m),
                            tokens(value, most)));
                }
                html.append("</td>");
            }
            html.append("</tr>\n");
        }
        return html.append("</table>").toString();
    }

    private static String fidelity(Studied model) {
        List<Integer> lags = model.study().lags();
        StringBuilder html = new StringBuilder("<table class=\"map\"><tr><th>layer</th>");
        for (int lag : lags) {
            html.append("<th>").append(lag == 0 ? "k = 0" : Lengths.format(lag)).append("</th>");
        }
        html.append("<th>mean from 1</th></tr>\n");
        List<MemoryStudy.Layer> layers = model.study().layers();
        for (int i = layers.size() - 1; i >= 0; i--) {
            html.append("<tr><td>").append(i + 1).append("</td>");
            for (double value : layers.get(i).fidelity()) {
                html.append(field(value));
            }
            html.append(field(layers.get(i).meanFidelity())).append("</tr>\n");
        }
        return html.append("</table>").toString();
    }

    private static String explained(Studied model) {
        int layers = model.study().layers().size();
        StringBuilder html = new StringBuilder("<table class=\"map\"><tr><th>from \\ to</th>");
        for (int below = 1; below < layers; below++) {
            html.append("<th>").append(below).append("</th>");
        }
        html.append("</tr>\n");
        for (int m = layers - 1; m > 0; m--) {
            html.append("<tr><td>").append(m + 1).append("</td>");
            List<Double> row = model.study().explained().get(m);
            for (int below = 0; below < layers - 1; below++) {
                html.append(below < row.size() ? field(row.get(below)) : "<td></td>");
            }
            html.append("</tr>\n");
        }
        return html.append("</table>").toString();
    }

    private static String field(double value) {
        double share = Math.clamp(value, 0, 1);
        return String.format(
                Locale.ROOT,
                "<td style=\"background:%s;color:%s\">%s</td>",
                PageParts.tint(share),
                share > 0.55 ? "#fff" : "var(--ink)",
                Double.isFinite(value)
                        ? String.format(Locale.ROOT, "%.2f", value).replace("-0.00", "0.00")
                        : "–");
    }

    /** A number of tokens; beyond the last lag, that. */
    static String tokens(double value, int most) {
        if (value > most) {
            return String.format(Locale.ROOT, "> %,d", most);
        }
        return String.format(Locale.ROOT, value < 10 ? "%.1f" : "%,.0f", value);
    }

    static String percent(double share) {
        if (Double.isNaN(share)) {
            return "–";
        }
        return String.format(Locale.ROOT, share != 0 && share < 0.01 ? "%.2f %%" : "%.1f %%", 100 * share);
    }

    /** All figures, model by model. */
    JsonArray toJson() {
        List<JsonValue> all = new ArrayList<>();
        for (Studied model : models) {
            List<JsonValue> layers = new ArrayList<>();
            for (int i = 0; i < model.study().layers().size(); i++) {
                layers.add(layer(model.study(), i));
            }
            all.add(JsonObject.builder()
                    .put("model", model.name())
                    .put("type", model.type())
                    .put("parameters", model.parameters())
                    .put("lags", numbers(model.study().lags()))
                    .put("layers", new JsonArray(layers))
                    .build());
        }
        return new JsonArray(all);
    }

    private static JsonObject layer(MemoryStudy study, int index) {
        MemoryStudy.Layer layer = study.layers().get(index);
        JsonObject.Builder json = JsonObject.builder().put("layer", index).put("influence", numbers(layer.influence()));
        if (Double.isFinite(layer.halfLife())) {
            json.put("half_life", layer.halfLife());
        }
        json.put("bound_bits", numbers(layer.bound()));
        json.put("etmf", numbers(layer.fidelity()));
        json.put("eclmf", numbers(study.explained().get(index)));
        for (MemoryStudy.Notes notes : layer.notes()) {
            json.put("note_rate", notes.rate());
            putIfMeasured(json, "read_gate", notes.gate());
            putIfMeasured(json, "read_gate_below", notes.gateBelow());
            putIfMeasured(json, "attention_on_notes", notes.attention());
            putIfMeasured(json, "attention_below", notes.attentionBelow());
        }
        return json.build();
    }

    private static void putIfMeasured(JsonObject.Builder json, String key, double value) {
        if (Double.isFinite(value)) {
            json.put(key, value);
        }
    }

    private static JsonArray numbers(List<? extends Number> values) {
        List<JsonValue> all = new ArrayList<>();
        for (Number value : values) {
            all.add(JsonNumber.of(Math.clamp(value.doubleValue(), -1e300, 1e300)));
        }
        return new JsonArray(all);
    }
}
