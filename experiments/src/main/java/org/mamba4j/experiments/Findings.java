package org.mamba4j.experiments;

import java.util.List;

/**
 * How results are shown.
 *
 * @param tables with the published figures beside ours
 * @param charts may be empty of series, and are left out then
 * @param notes what a reader must know: where it departs from the paper, what was left out, and why
 */
public record Findings(List<ResultTable> tables, List<LineChart> charts, List<String> notes) {
    /** Copies the lists. */
    public Findings {
        tables = List.copyOf(tables);
        charts = charts.stream().filter(chart -> !chart.isEmpty()).toList();
        notes = List.copyOf(notes);
    }
}
