package org.mamba4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.mamba4j.experiments.Experiment;
import org.mamba4j.experiments.ExperimentRun;
import org.mamba4j.experiments.ResultTable;
import org.mamba4j.experiments.Setup;

/**
 * What an experiment found, as one HTML page that needs nothing beside it: pictures are in it.
 *
 * @param setup what it was run with
 * @param order what was wanted
 * @param outcome what came out
 */
record ExperimentPage(Experiment experiment, Setup setup, ExperimentRun.Order order, ExperimentRun.Outcome outcome) {

    String toHtml() {
        return Html.fill(
                "experiment.html",
                Map.of(
                        "title", Html.escape(experiment.name()),
                        "question", Html.escape(experiment.question()),
                        "facts", Html.escape(facts()),
                        "pictures", each(outcome.pictures(), ExperimentPage::picture),
                        "tables", each(outcome.findings().tables(), ExperimentPage::table),
                        "notes", each(outcome.findings().notes(), note -> item("", note)),
                        "left", each(outcome.left(), part -> item("left to run: ", part)),
                        "missing", each(outcome.missing(), part -> item("cannot run: ", part)),
                        "command", Html.escape(order.command())));
    }

    private String facts() {
        return "scale " + setup.scale().label() + " · " + String.join(", ", outcome.machines()) + " · "
                + LocalDate.now(ZoneOffset.UTC) + " · " + RootCommand.Version.commit();
    }

    private static <T> String each(List<T> all, Function<T, String> html) {
        return all.stream().map(html).collect(Collectors.joining("\n"));
    }

    private static String item(String label, String text) {
        return "<li>" + Html.escape(label + text) + "</li>";
    }

    private static String picture(Path png) {
        try {
            String data = Base64.getEncoder().encodeToString(Files.readAllBytes(png));
            return "<div class=\"panel\"><img alt=\"" + Html.escape(String.valueOf(png.getFileName()))
                    + "\" src=\"data:image/png;base64," + data + "\"></div>";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String table(ResultTable table) {
        StringBuilder html =
                new StringBuilder("<h2>" + Html.escape(table.title()) + "</h2>\n<div class=\"panel\"><table>\n");
        html.append(row("th", table.columns()));
        table.rows().forEach(cells -> html.append(row("td", cells)));
        return html.append("</table></div>\n<p class=\"note\">")
                .append(Html.escape(table.caption()))
                .append("</p>")
                .toString();
    }

    private static String row(String tag, List<String> cells) {
        return cells.stream()
                .map(cell -> "<" + tag + ">" + Html.escape(cell) + "</" + tag + ">")
                .collect(Collectors.joining("", "<tr>", "</tr>\n"));
    }
}
