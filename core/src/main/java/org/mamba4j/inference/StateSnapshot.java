package org.mamba4j.inference;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.Shape;
import org.mamba4j.model.TensorSpec;

/**
 * A state as plain arrays, in no engine's own form: each engine makes one to save and takes one to load.
 *
 * @param tokensSeen tokens read since the state was new
 * @param tensors the values of every tensor that {@link ModelConfig#stateTensors(long)} lists, by name, rows contiguous;
 *     the arrays are not copied
 */
public record StateSnapshot(long tokensSeen, SequencedMap<String, float[]> tensors) {
    public StateSnapshot {
        tensors = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(tensors));
    }

    /** The state of a model of {@code config} that has seen nothing: zeros, which the caller may fill. */
    public static StateSnapshot zeros(ModelConfig config, long tokensSeen) {
        SequencedMap<String, float[]> tensors = new LinkedHashMap<>();
        for (TensorSpec spec : config.stateTensors(tokensSeen)) {
            tensors.put(spec.name(), new float[Math.toIntExact(spec.shape().elements())]);
        }
        return new StateSnapshot(tokensSeen, tensors);
    }

    /**
     * The values of one tensor, not copied.
     *
     * @throws IllegalArgumentException if there is no such tensor
     */
    public float[] tensor(String name) {
        float[] values = tensors.get(name);
        if (values == null) {
            throw new IllegalArgumentException("the state has no tensor " + name);
        }
        return values;
    }

    /** @throws IllegalArgumentException unless the tensors are those that {@code config} implies */
    void requireFits(ModelConfig config) {
        Map<String, Shape> expected = new LinkedHashMap<>();
        config.stateTensors(tokensSeen).forEach(spec -> expected.put(spec.name(), spec.shape()));
        if (!expected.keySet().equals(tensors.keySet())) {
            throw new IllegalArgumentException(
                    "the state must have " + expected.keySet() + ", but has " + tensors.keySet());
        }
        expected.forEach((name, shape) -> {
            if (tensor(name).length != shape.elements()) {
                throw new IllegalArgumentException("the state's tensor " + name + " must have shape " + shape
                        + ", but has " + tensor(name).length + " elements");
            }
        });
    }
}
