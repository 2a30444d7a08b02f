package org.mamba4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.mamba4j.tasks.Passkey;
import org.mamba4j.text.Tokenizer;
import org.mamba4j.torch.fidelity.MemoryStudy;
import org.mamba4j.torch.fidelity.NotedText;

/** The part of a {@link MemoryReport} on notes: figures, what was noted in a text, and where notes are read. */
record NotePages(List<MemoryReport.Studied> models, Tokenizer tokenizer, Passkey.Example example) {
    /** Columns of the map of gates. */
    private static final int BINS = 200;

    private static final int ROW = 22;
    private static final int LEFT = 60;
    private static final int WIDTH = 1180;

    /** HTML; a line that says so if no model takes notes. */
    String toHtml() {
        StringBuilder html = new StringBuilder("<h2>Notes</h2>\n");
        boolean any = false;
        for (int i = 0; i < models.size(); i++) {
            MemoryReport.Studied model = models.get(i);
            if (!model.noted().layers().isEmpty()) {
                any = true;
                html.append(figures(i, model)).append(gates(i, model)).append(text(i, model));
            }
        }
        return any ? html.toString() : html + "<p class=\"note\">No model here takes notes.</p>";
    }

    private static String figures(int index, MemoryReport.Studied model) {
        StringBuilder html = new StringBuilder("<div class=\"panel\">" + MemoryReport.heading(index, model)
                + "<table><tr><th>layer</th><th>tokens noted</th><th>read gate</th><th>attention on own notes</th>"
                + "<th>read gate, layers below</th><th>attention on notes below</th></tr>\n");
        List<MemoryStudy.Layer> layers = model.study().layers();
        for (int i = 0; i < layers.size(); i++) {
            for (MemoryStudy.Notes notes : layers.get(i).notes()) {
                html.append("<tr><td>").append(i + 1).append("</td>");
                for (double value : new double[] {
                    notes.rate(), notes.gate(), notes.attention(), notes.gateBelow(), notes.attentionBelow()
                }) {
                    html.append("<td>").append(MemoryReport.percent(value)).append("</td>");
                }
                html.append("</tr>\n");
            }
        }
        return html.append("</table></div>\n").toString();
    }

    /** Gates along the example, a row for each layer; below it what stands where. */
    private String gates(int index, MemoryReport.Studied model) {
        List<NotedText.Layer> layers = model.noted().layers().stream()
                .filter(layer -> layer.gates().length > 0)
                .toList();
        if (layers.isEmpty()) {
            return "";
        }
        int tokens = example.tokens().length;
        int bins = Math.min(BINS, tokens);
        double cell = (double) (WIDTH - LEFT) / bins;
        double greatest = 1e-9;
        List<double[]> rows = new ArrayList<>();
        for (NotedText.Layer layer : layers) {
            double[] row = new double[bins];
            for (int b = 0; b < bins; b++) {
                row[b] = greatest(layer.gates(), (int) ((long) b * tokens / bins), (int) ((b + 1L) * tokens / bins));
                greatest = Math.max(greatest, row[b]);
            }
            rows.add(row);
        }
        int height = ROW * layers.size() + 44;
        StringBuilder svg = new StringBuilder(
                String.format(Locale.ROOT, "<svg viewBox=\"0 0 %d %d\" role=\"img\">%n", WIDTH, height));
        for (int r = 0; r < rows.size(); r++) {
            int y = ROW * (rows.size() - 1 - r);
            svg.append(String.format(
                    Locale.ROOT,
                    "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>%n",
                    LEFT - 8,
                    y + 15,
                    layers.get(r).index() + 1));
            for (int b = 0; b < bins; b++) {
                svg.append(String.format(
                        Locale.ROOT,
                        "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>%n",
                        LEFT + b * cell,
                        y,
                        cell + 0.3,
                        ROW - 2,
                        PageParts.tint(rows.get(r)[b] / greatest)));
            }
        }
        int below = ROW * rows.size() + 4;
        bracket(svg, example.statedFrom(), example.statedTo(), "key stated", below);
        bracket(svg, example.askedFrom(), tokens, "asked", below);
        svg.append("</svg>");
        return "<h2>When notes are read</h2>\n<p class=\"note\">Read gate of each layer (rows) along a text of "
                + String.format(Locale.ROOT, "%,d", tokens)
                + " tokens that states a key and asks for it at the end; the greatest gate of each piece, darkest "
                + String.format(Locale.ROOT, "%.2f", greatest)
                + ".</p>\n<div class=\"panel\">" + MemoryReport.heading(index, model) + svg + "</div>\n";
    }

    private void bracket(StringBuilder svg, int from, int to, String label, int y) {
        double scale = (double) (WIDTH - LEFT) / example.tokens().length;
        double x1 = LEFT + from * scale;
        double x2 = LEFT + to * scale;
        boolean atEnd = x2 > WIDTH - 60;
        svg.append(String.format(
                Locale.ROOT,
                "<path d=\"M%.1f %d V%d H%.1f V%d\" stroke=\"#b3261e\"/>%n<text class=\"title\" x=\"%.1f\" y=\"%d\""
                        + " text-anchor=\"%s\">%s</text>%n",
                x1,
                y,
                y + 8,
                x2,
                y,
                atEnd ? x2 : (x1 + x2) / 2,
                y + 26,
                atEnd ? "end" : "middle",
                label));
    }

    private static double greatest(float[] values, int from, int to) {
        double most = 0;
        for (int i = from; i < to; i++) {
            most = Math.max(most, values[i]);
        }
        return most;
    }

    private String text(int index, MemoryReport.Studied model) {
        List<NotedText.Layer> layers = model.noted().layers();
        String marked = MarkedText.html(tokenizer, example.tokens(), token -> mark(layers, token));
        return "<h2>What was noted</h2>\n<p class=\"note\">The same text. <span class=\"swatch\" style=\"background:"
                + colour(1.0 / layers.size()) + "\">one layer</span> to <span class=\"swatch\" style=\"background:"
                + colour(1) + "\">all " + layers.size()
                + "</span> noted the token; <span class=\"swatch\" style=\"box-shadow:inset 0 -2px 0 #b3261e\">underlined"
                + "</span>: its note is still held at the end by at least one. <b style=\"color:#7a1b14\">Bold</b>: the"
                + " key's statement and the question. Pointing at a token names the layers.</p>\n<div class=\"panel\">"
                + MemoryReport.heading(index, model) + "<pre class=\"text\">" + marked + "</pre></div>\n";
    }

    private String mark(List<NotedText.Layer> layers, int token) {
        List<String> noted = new ArrayList<>();
        List<String> kept = new ArrayList<>();
        for (NotedText.Layer layer : layers) {
            if (layer.noted()[token]) {
                noted.add(Integer.toString(layer.index() + 1));
            }
            if (layer.kept()[token]) {
                kept.add(Integer.toString(layer.index() + 1));
            }
        }
        boolean needle = (token >= example.statedFrom() && token < example.statedTo()) || token >= example.askedFrom();
        String classes = (noted.isEmpty() ? "" : "m ") + (kept.isEmpty() ? "" : "kept ") + (needle ? "needle" : "");
        if (classes.isBlank()) {
            return "";
        }
        String style = noted.isEmpty()
                ? ""
                : " style=\"background:" + colour((double) noted.size() / layers.size()) + "\" title=\"noted by layer "
                        + String.join(", ", noted)
                        + (kept.isEmpty() ? "" : "; held in the end by " + String.join(", ", kept)) + "\"";
        return "class=\"" + classes.strip() + "\"" + style;
    }

    /** From nearly white to amber. */
    private static String colour(double share) {
        return String.format(Locale.ROOT, "rgb(255 %.0f %.0f)", 246 - 62 * share, 214 - 160 * share);
    }
}
