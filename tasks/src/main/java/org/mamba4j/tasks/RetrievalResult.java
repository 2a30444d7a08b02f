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
     * @param documents how many documents were listed; 0 where something was hidden in a text
     * @param length tokens read before the answer; of documents, their mean
     * @param depth where it was hidden: 0 at the beginning, 1 at the end
     * @param trials how often it was asked for
     * @param correct how often the whole answer was right
     */
    public record Cell(int documents, int length, double depth, int trials, int correct) {
        /** Of something hidden in a text. */
        public Cell(int length, double depth, int trials, int correct) {
            this(0, length, depth, trials, correct);
        }

        static Cell ofDocuments(int documents, int length, double depth, int trials, int correct) {
            return new Cell(documents, length, depth, trials, correct);
        }

        /** What the cell is large by: documents, or else tokens. */
        public int size() {
            return documents > 0 ? documents : length;
        }

        /** Share of right answers, in [0, 1]. */
        public double accuracy() {
            return (double) correct / trials;
        }

        /** The same with its interval. */
        public Estimate estimate() {
            return Estimate.ofShare(correct, trials);
        }
    }

    /** Copies {@code cells}. */
    public RetrievalResult {
        cells = List.copyOf(cells);
    }

    /** An array of objects with the components of {@link Cell}; documents only where there are some. */
    public JsonArray toJson() {
        List<JsonValue> rows = new ArrayList<>();
        for (Cell cell : cells) {
            JsonObject.Builder row = JsonObject.builder();
            if (cell.documents() > 0) {
                row.put("documents", cell.documents());
            }
            rows.add(row.put("length", cell.length())
                    .put("depth", cell.depth())
                    .put("trials", cell.trials())
                    .put("correct", cell.correct())
                    .build());
        }
        return new JsonArray(rows);
    }

    /** Whether sizes are numbers of documents. */
    public boolean isOfDocuments() {
        return cells.stream().anyMatch(cell -> cell.documents() > 0);
    }

    /** The sizes, each once, in order. */
    public List<Integer> sizes() {
        return cells.stream().map(Cell::size).distinct().sorted().toList();
    }

    /** The depths, each once, in order. */
    public List<Double> depths() {
        return cells.stream().map(Cell::depth).distinct().sorted().toList();
    }

    /** The cells of one size taken together. */
    public Cell atSize(int size) {
        List<Cell> row = cells.stream().filter(c -> c.size() == size).toList();
        return new Cell(
                row.stream().mapToInt(Cell::documents).findFirst().orElse(0),
                row.stream().mapToInt(Cell::length).findFirst().orElse(0),
                Double.NaN,
                row.stream().mapToInt(Cell::trials).sum(),
                row.stream().mapToInt(Cell::correct).sum());
    }
}
