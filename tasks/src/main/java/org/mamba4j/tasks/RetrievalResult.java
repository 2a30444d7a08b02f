package org.mamba4j.tasks;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.json.JsonArray;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;

/**
 * How often something hidden was found.
 *
 * @param cells one for each length and depth, in the order asked for
 */
public record RetrievalResult(List<Cell> cells) {
    /**
     * One length and depth.
     *
     * @param length tokens read before the answer
     * @param depth where it was hidden: 0 at the beginning, 1 at the end
     * @param trials how often it was asked for
     * @param correct how often the whole answer was right
     */
    public record Cell(int length, double depth, int trials, int correct) {
        /** Share of right answers, in [0, 1]. */
        public double accuracy() {
            return (double) correct / trials;
        }
    }

    /** Copies {@code cells}. */
    public RetrievalResult {
        cells = List.copyOf(cells);
    }

    /** An array of objects with the components of {@link Cell}. */
    public JsonArray toJson() {
        List<JsonValue> rows = new ArrayList<>();
        for (Cell cell : cells) {
            rows.add(JsonObject.builder()
                    .put("length", cell.length())
                    .put("depth", cell.depth())
                    .put("trials", cell.trials())
                    .put("correct", cell.correct())
                    .build());
        }
        return new JsonArray(rows);
    }

    /** The lengths, each once, in order. */
    public List<Integer> lengths() {
        return cells.stream().map(Cell::length).distinct().sorted().toList();
    }

    /** The depths, each once, in order. */
    public List<Double> depths() {
        return cells.stream().map(Cell::depth).distinct().sorted().toList();
    }

    /** The cells of one length taken together. */
    public Cell atLength(int length) {
        List<Cell> row = cells.stream().filter(c -> c.length() == length).toList();
        return new Cell(
                length,
                Double.NaN,
                row.stream().mapToInt(Cell::trials).sum(),
                row.stream().mapToInt(Cell::correct).sum());
    }
}
