package org.mamba4j.experiments;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.mamba4j.tasks.Estimate;

/**
 * A table of text: the first column names things, the others hold figures. What the papers do not give stays empty.
 *
 * @param title what it shows
 * @param columns heads
 * @param rows as many cells in each as there are columns
 * @param caption scale, units, seeds
 */
public record ResultTable(String title, List<String> columns, List<List<String>> rows, String caption) {
    /** Copies the lists. */
    public ResultTable {
        columns = List.copyOf(columns);
        rows = rows.stream().map(List::copyOf).toList();
        for (List<String> row : rows) {
            if (row.size() != columns.size()) {
                throw new IllegalArgumentException(row.size() + " cells for " + columns.size() + " columns: " + row);
            }
        }
    }

    /** A mean with half the width of its interval, such as {@code 8.71 ± 0.03}; without one where there is one seed. */
    public static String cell(Optional<Estimate> estimate, int digits) {
        return estimate.map(value -> cell(value, digits)).orElse("");
    }

    private static String cell(Estimate estimate, int digits) {
        String mean = number(estimate.value(), digits);
        double half = (estimate.high() - estimate.low()) / 2;
        return half == 0 ? mean : mean + " ± " + number(half, digits);
    }

    /** A share as percent, such as {@code 99.8}. */
    public static String percent(Optional<Estimate> share) {
        return cell(share.map(value -> new Estimate(100 * value.value(), 100 * value.low(), 100 * value.high())), 1);
    }

    /** A number with some digits after the point; empty for NaN, which stands for what is not there. */
    public static String number(double value, int digits) {
        return Double.isNaN(value) ? "" : String.format(Locale.ROOT, "%,." + digits + "f", value);
    }

    /** A count with a separator every three digits. */
    public static String count(long value) {
        return value == 0 ? "" : String.format(Locale.ROOT, "%,d", value);
    }

    /** The table as Markdown has it, title and caption around it. */
    public List<String> toMarkdown() {
        List<String> lines = new ArrayList<>(List.of("**" + title + "**", ""));
        lines.add(line(columns));
        StringBuilder rule = new StringBuilder("|---|");
        rule.repeat("---:|", columns.size() - 1);
        lines.add(rule.toString());
        rows.forEach(row -> lines.add(line(row)));
        lines.addAll(List.of("", caption));
        return lines;
    }

    private static String line(List<String> cells) {
        return "| "
                + String.join(
                        " | ",
                        cells.stream().map(cell -> cell.replace("|", "\\|")).toList()) + " |";
    }
}
