package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.fidelity.Dynamics;
import org.mamba4j.torch.fidelity.TimeScales;

/**
 * How one or two models move while they read a text: one page that needs no other file. What is shown layer by layer is
 * chosen in a bar by a script that stands in the page; without scripts the layer in the middle is shown.
 *
 * @param models the model, and perhaps another of the same tokenizer
 * @param text what was read
 * @param facts about the text, one line
 */
record DynamicsReport(List<Studied> models, Text text, String facts) {
    /**
     * A model.
     *
     * @param name of its folder
     * @param type family
     * @param parameters how many
     */
    record Studied(String name, String type, long parameters, Dynamics dynamics) {}

    /** Tokens and what they mean. */
    @SuppressWarnings("ArrayRecordComponent") // identity is enough: never compared
    record Text(Tokenizer tokenizer, int[] tokens) {}

    String toHtml() {
        List<Dynamics> all = models.stream().map(Studied::dynamics).toList();
        DynamicsText.Range lives = DynamicsText.Range.ofLives(all);
        DynamicsCharts charts = new DynamicsCharts(all, lives);
        Map<String, String> values = new LinkedHashMap<>();
        values.put(
                "title",
                Html.escape(
                        models.size() == 1
                                ? "How " + models.getFirst().name() + " moves"
                                : "How " + models.getFirst().name() + " and "
                                        + models.getLast().name() + " move"));
        values.put("subtitle", Html.escape(facts));
        values.put("cards", cards());
        values.put("line-colours", PageParts.lineColours());
        values.put("text-colours", DynamicsText.colours());
        values.put("least-life", figure(lives.low()));
        values.put("greatest-life", figure(lives.high()));
        values.put("layers", Integer.toString(layers()));
        values.put("layer", Integer.toString(shownLayer() + 1));
        values.put("pipe", panels(d -> charts.timeScales(d, Dynamics.Layer::pipe, "1 / |A|, in steps of Δ")));
        values.put(
                "token-scales",
                panels(d -> charts.timeScales(d, Dynamics.Layer::tokenScales, "1 / (|A| · mean Δ), in tokens")));
        values.put("valve-maps", panels(charts::valveMap));
        values.put("texts", panels(d -> new DynamicsText(text, d, shownLayer(), lives).toHtml()));
        values.put("openers", panels(d -> new DynamicsText(text, d, shownLayer(), lives).openers()));
        values.put("survival", panels(charts::survival));
        values.put("alignment", panels(charts::alignment));
        values.put("alignment-maps", panels(d -> perLayer(d, charts::alignmentMap)));
        values.put("responses", panels(d -> perLayer(d, charts::responses)));
        return Html.fill("dynamics.html", values);
    }

    private int layers() {
        return models.stream()
                .mapToInt(model -> model.dynamics().layers().size())
                .max()
                .orElse(1);
    }

    /** The layer that is shown first: in the middle of the shortest model. */
    private int shownLayer() {
        return models.stream()
                        .mapToInt(model -> model.dynamics().layers().size())
                        .min()
                        .orElse(1)
                / 2;
    }

    private String panels(Function<Dynamics, String> content) {
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < models.size(); i++) {
            Studied model = models.get(i);
            all.append(
                    PageParts.panel(PageParts.heading(i, model.name(), model.type()), content.apply(model.dynamics())));
        }
        return all.toString();
    }

    /** A block for each layer, of which one is to be seen. */
    private String perLayer(Dynamics dynamics, Function<Dynamics.Layer, String> content) {
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < dynamics.layers().size(); i++) {
            all.append(String.format(
                    Locale.ROOT,
                    "<div class=\"per-layer\" data-layer=\"%d\"%s>%s</div>%n",
                    i,
                    i == shownLayer() ? "" : " hidden",
                    content.apply(dynamics.layers().get(i))));
        }
        return all.toString();
    }

    private String cards() {
        StringBuilder html = new StringBuilder();
        for (int i = 0; i < models.size(); i++) {
            Studied model = models.get(i);
            List<Dynamics.Layer> layers = model.dynamics().layers();
            List<Double> lives =
                    layers.stream().flatMap(layer -> layer.halfLives().stream()).toList();
            int length = layers.getFirst().valve().size();
            html.append("<div class=\"model\">")
                    .append(PageParts.heading(i, model.name(), model.type()))
                    .append("<div class=\"cards\">")
                    .append(PageParts.card(String.format(Locale.ROOT, "%,d", model.parameters()), "parameters"))
                    .append(PageParts.card(Integer.toString(layers.size()), "layers"))
                    .append(PageParts.card(figure(median(scales(layers, 0.5))), "median time scale of a layer, tokens"))
                    .append(PageParts.card(
                            figure(scales(layers, 0.9).stream()
                                    .mapToDouble(Double::doubleValue)
                                    .max()
                                    .orElse(0)),
                            "the slowest layer's slowest tenth, tokens"))
                    .append(PageParts.card(MemoryReport.tokens(median(lives), length), "median half-life, tokens"))
                    .append(PageParts.card(
                            MemoryReport.percent(lives.stream()
                                            .filter(life -> life.isInfinite())
                                            .count()
                                    / (double) lives.size()),
                            "of tokens outlast the text by half"))
                    .append("</div></div>\n");
        }
        return html.toString();
    }

    private static List<Double> scales(List<Dynamics.Layer> layers, double share) {
        return layers.stream().map(layer -> layer.tokenScales().quantile(share)).toList();
    }

    /** Three digits. */
    static String figure(double value) {
        return value >= 1000
                ? String.format(Locale.ROOT, "%,.0f", value)
                : String.format(
                        Locale.ROOT,
                        value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : value >= 1 ? "%.2f" : "%.3f",
                        value);
    }

    static double mean(List<Double> values) {
        return values.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
    }

    static double median(List<Double> values) {
        return values.stream().sorted().toList().get(values.size() / 2);
    }

    /** All figures, model by model. */
    JsonArray toJson() {
        List<JsonValue> all = new ArrayList<>();
        for (Studied model : models) {
            List<JsonValue> layers = new ArrayList<>();
            model.dynamics().layers().forEach(layer -> layers.add(layer(layer)));
            all.add(JsonObject.builder()
                    .put("model", model.name())
                    .put("type", model.type())
                    .put("parameters", model.parameters())
                    .put("lags", numbers(model.dynamics().lags()))
                    .put("layers", new JsonArray(layers))
                    .build());
        }
        return new JsonArray(all);
    }

    private static JsonObject layer(Dynamics.Layer layer) {
        return JsonObject.builder()
                .put("time_scales_a", quantiles(layer.pipe()))
                .put("time_scales_tokens", quantiles(layer.tokenScales()))
                .put("delta", numbers(layer.valve()))
                .put("half_lives", numbers(layer.halfLives()))
                .put("alignment", numbers(layer.alignment()))
                .put("response_open", numbers(layer.responses().open()))
                .put("response_typical", numbers(layer.responses().typical()))
                .put("response_shut", numbers(layer.responses().shut()))
                .put("response_frozen", numbers(layer.responses().frozen()))
                .build();
    }

    private static JsonObject quantiles(TimeScales scales) {
        return JsonObject.builder()
                .put("p10", scales.quantile(0.1))
                .put("median", scales.quantile(0.5))
                .put("p90", scales.quantile(0.9))
                .build();
    }

    /** What is infinite becomes null. */
    private static JsonArray numbers(List<? extends Number> values) {
        List<JsonValue> all = new ArrayList<>();
        for (Number value : values) {
            all.add(Double.isFinite(value.doubleValue()) ? JsonNumber.of(value.doubleValue()) : JsonNull.NULL);
        }
        return new JsonArray(all);
    }
}
