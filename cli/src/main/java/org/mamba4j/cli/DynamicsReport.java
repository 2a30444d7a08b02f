package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonNull;
import org.mamba4j.json.JsonNumber;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.fidelity.Dynamics;
import org.mamba4j.torch.fidelity.KernelShape;
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
    private static final String NO_A =
            "This layer has no A: its kernel is computed from the distance by a small network,"
                    + " times a window that fades at a fixed pace in each channel.";
    private static final String NO_VALVE =
            "No valve: how far a token is let in does not depend on it, so none opens or shuts anything.";
    private static final String NO_COLOURS = "Every token is treated alike, so there is nothing to colour.";
    private static final String NO_KERNEL =
            "There is none: what a token leaves behind is another response for every token. Dashed in the picture above is the"
                    + " kernel that the layer would have if nothing in it were selective.";
    private static final String NO_ALIGNMENT =
            "B and C are the channel's own, the same for every token: what differs between tokens is not where they write.";

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
        values.put("pipe", panels(d -> scales(d, charts, Dynamics.Layer::pipe, "1 / |Re A|, in steps of Δ", NO_A)));
        values.put(
                "token-scales",
                panels(d -> scales(d, charts, Dynamics.Layer::tokenScales, "1 / (|Re A| · mean Δ), in tokens", NO_A)));
        values.put("valve-maps", panels(d -> valve(d, () -> charts.valveMap(d))));
        values.put(
                "texts",
                panels(d -> selective(d, NO_COLOURS, () -> new DynamicsText(text, d, shownLayer(), lives).toHtml())));
        values.put("openers", panels(d -> valve(d, () -> new DynamicsText(text, d, shownLayer(), lives).openers())));
        values.put(
                "survival",
                panels(d -> (d.selective().isEmpty() ? "" : charts.survival(d))
                        + (d.invariant().isEmpty() ? "" : reach(d))));
        values.put("responses", panels(d -> perLayer(d, charts::responses, charts::responses)));
        values.put(
                "kernels",
                panels(d -> d.invariant().isEmpty()
                        ? words(NO_KERNEL)
                        : perLayer(d, layer -> words(NO_KERNEL), charts::kernels)));
        values.put("alignment", panels(d -> aligned(d, () -> charts.alignment(d))));
        values.put(
                "alignment-maps",
                panels(d -> aligned(d, () -> perLayer(d, charts::alignmentMap, layer -> words(NO_ALIGNMENT)))));
        values.put(
                "colours-shown",
                models.stream().allMatch(m -> m.dynamics().selective().isEmpty()) ? "hidden" : "");
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
    private String perLayer(
            Dynamics dynamics,
            Function<Dynamics.Selective, String> ofSelective,
            Function<Dynamics.Invariant, String> ofInvariant) {
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < dynamics.layers().size(); i++) {
            all.append(String.format(
                    Locale.ROOT,
                    "<div class=\"per-layer\" data-layer=\"%d\"%s>%s</div>%n",
                    i,
                    i == shownLayer() ? "" : " hidden",
                    switch (dynamics.layers().get(i)) {
                        case Dynamics.Selective layer -> ofSelective.apply(layer);
                        case Dynamics.Invariant layer -> ofInvariant.apply(layer);
                    }));
        }
        return all.toString();
    }

    /** What stands where a model has nothing to draw. */
    private static String words(String text) {
        return "<p class=\"none\">" + Html.escape(text) + "</p>\n";
    }

    private static String selective(Dynamics dynamics, String otherwise, Supplier<String> content) {
        return dynamics.selective().isEmpty() ? words(otherwise) : content.get();
    }

    private static String valve(Dynamics dynamics, Supplier<String> content) {
        boolean has = dynamics.selective().stream().anyMatch(Dynamics.Selective::hasValve);
        return has ? content.get() : words(NO_VALVE);
    }

    private static String aligned(Dynamics dynamics, Supplier<String> content) {
        boolean has = dynamics.selective().stream()
                .anyMatch(layer -> !layer.alignment().isEmpty());
        return has ? content.get() : words(NO_ALIGNMENT);
    }

    private static String scales(
            Dynamics dynamics,
            DynamicsCharts charts,
            Function<Dynamics.Layer, TimeScales> scales,
            String title,
            String otherwise) {
        boolean has = dynamics.layers().stream()
                .anyMatch(layer -> !scales.apply(layer).isEmpty());
        return has ? charts.timeScales(dynamics, scales, title) : words(otherwise);
    }

    /** How far the kernels of each layer that has one reach. */
    private static String reach(Dynamics dynamics) {
        StringBuilder html = new StringBuilder("""
                <p class="none">Of layers that treat every token alike: tokens until half of Σ |K| has passed, by channel.</p>
                <table><tr><th>layer</th><th>shortest tenth</th><th>median</th><th>longest tenth</th></tr>
                """);
        for (int i = dynamics.layers().size() - 1; i >= 0; i--) {
            if (!(dynamics.layers().get(i) instanceof Dynamics.Invariant layer)) {
                continue;
            }
            KernelShape kernel = layer.kernel();
            html.append(String.format(
                    Locale.ROOT,
                    "<tr><td>%d</td><td>%,d</td><td>%,d</td><td>%,d</td></tr>%n",
                    i + 1,
                    kernel.reach(0.1),
                    kernel.reach(0.5),
                    kernel.reach(0.9)));
        }
        return html.append("</table>\n").toString();
    }

    private String cards() {
        StringBuilder html = new StringBuilder();
        for (int i = 0; i < models.size(); i++) {
            Studied model = models.get(i);
            List<Dynamics.Layer> layers = model.dynamics().layers();
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
                    .append(lives(model.dynamics()))
                    .append("</div></div>\n");
        }
        return html.toString();
    }

    /** How long tokens are remembered. */
    private static String lives(Dynamics dynamics) {
        return (dynamics.invariant().isEmpty() ? "" : reachCard(dynamics))
                + (dynamics.selective().isEmpty() ? "" : lifeCards(dynamics));
    }

    private static String reachCard(Dynamics dynamics) {
        List<Double> reach = dynamics.invariant().stream()
                .map(layer -> (double) layer.kernel().reach(0.5))
                .toList();
        return PageParts.card(String.format(Locale.ROOT, "%,.0f", median(reach)), "median reach of a kernel, tokens");
    }

    private static String lifeCards(Dynamics dynamics) {
        List<Double> lives = dynamics.selective().stream()
                .flatMap(layer -> layer.halfLives().stream())
                .toList();
        double outlast = lives.stream().filter(life -> life.isInfinite()).count() / (double) lives.size();
        int length = dynamics.selective().getFirst().valve().size();
        return PageParts.card(MemoryReport.tokens(median(lives), length), "median half-life, tokens")
                + PageParts.card(MemoryReport.percent(outlast), "of tokens outlast the text by half");
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
        JsonObject.Builder json = JsonObject.builder();
        if (!layer.pipe().isEmpty()) {
            json.put("time_scales_a", quantiles(layer.pipe()));
        }
        json.put("time_scales_tokens", quantiles(layer.tokenScales()));
        switch (layer) {
            case Dynamics.Selective selective ->
                json.put("delta", numbers(selective.valve()))
                        .put("half_lives", numbers(selective.halfLives()))
                        .put("alignment", numbers(selective.alignment()))
                        .put("response_open", numbers(selective.responses().open()))
                        .put("response_typical", numbers(selective.responses().typical()))
                        .put("response_shut", numbers(selective.responses().shut()))
                        .put("response_frozen", numbers(selective.responses().frozen()));
            case Dynamics.Invariant invariant ->
                json.put("kernel", numbers(invariant.kernel().response()))
                        .put("kernel_reach", numbers(invariant.kernel().reach()));
        }
        return json.build();
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
