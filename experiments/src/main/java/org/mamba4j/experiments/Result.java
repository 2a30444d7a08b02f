package org.mamba4j.experiments;

import org.mamba4j.json.JsonFields;
import org.mamba4j.json.JsonObject;

/**
 * One figure.
 *
 * @param model as tables have it
 * @param setting what it was measured at, for example {@code 2^10}; empty where there is only one
 * @param seed of the part
 * @param metric what was measured, with its unit where it has one, for example {@code accuracy}
 * @param value the figure; NaN where the measurement was impossible (no memory, no time)
 * @param seconds what it cost
 * @param parameters of the model
 */
public record Result(
        String model, String setting, long seed, String metric, double value, double seconds, long parameters) {

    JsonObject toJson() {
        JsonObject.Builder json = JsonObject.builder()
                .put("model", model)
                .put("setting", setting)
                .put("seed", seed)
                .put("metric", metric);
        // JSON has no NaN: what was impossible has no value.
        if (Double.isFinite(value)) {
            json.put("value", value);
        }
        return json.put("seconds", seconds).put("parameters", parameters).build();
    }

    static Result parse(JsonFields json) {
        return new Result(
                json.string("model"),
                json.string("setting"),
                json.integer("seed", Long.MIN_VALUE, Long.MAX_VALUE),
                json.string("metric"),
                json.has("value") ? json.decimal("value") : Double.NaN,
                json.decimal("seconds"),
                json.integer("parameters", 0, Long.MAX_VALUE));
    }
}
