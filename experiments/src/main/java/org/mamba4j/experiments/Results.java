package org.mamba4j.experiments;

import java.util.List;
import java.util.Optional;
import org.mamba4j.tasks.Estimate;

/**
 * All figures of an experiment so far.
 *
 * @param rows in the order of the parts
 */
public record Results(List<Result> rows) {
    /** Copies {@code rows}. */
    public Results {
        rows = List.copyOf(rows);
    }

    /** The models that there are figures of, in order. */
    public List<String> models() {
        return rows.stream().map(Result::model).distinct().toList();
    }

    /** The settings that there are figures of, in order. */
    public List<String> settings() {
        return rows.stream().map(Result::setting).distinct().toList();
    }

    /** One value for each seed, without those that could not be measured. */
    public double[] values(String model, String setting, String metric) {
        return rows.stream()
                .filter(row -> row.model().equals(model)
                        && row.setting().equals(setting)
                        && row.metric().equals(metric)
                        && Double.isFinite(row.value()))
                .mapToDouble(Result::value)
                .toArray();
    }

    /** The mean over the seeds with Student's interval; empty where nothing was measured. */
    public Optional<Estimate> estimate(String model, String setting, String metric) {
        double[] values = values(model, setting, metric);
        return values.length == 0 ? Optional.empty() : Optional.of(Estimate.ofMean(values));
    }

    /** Trained numbers of a model; 0 where nothing was measured. */
    public long parameters(String model) {
        return rows.stream()
                .filter(row -> row.model().equals(model))
                .mapToLong(Result::parameters)
                .max()
                .orElse(0);
    }

    /** Seeds that a model was measured with. */
    public int seeds(String model) {
        return (int) rows.stream()
                .filter(row -> row.model().equals(model))
                .mapToLong(Result::seed)
                .distinct()
                .count();
    }
}
