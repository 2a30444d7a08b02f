package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;

/**
 * A tensor that a model has: a parameter or a part of its state.
 *
 * @param name the one name that this project uses: for parameters Hugging Face's
 * @param shape its shape
 * @param aliases other names under which files hold the same tensor
 */
public record TensorSpec(String name, Shape shape, List<String> aliases) {
    public TensorSpec {
        aliases = List.copyOf(aliases);
    }

    public static TensorSpec of(String name, long... shape) {
        return new TensorSpec(name, Shape.of(shape), List.of());
    }

    /** The same tensor, which files may also call {@code alias}. */
    public TensorSpec orNamed(String alias) {
        List<String> all = new ArrayList<>(aliases);
        all.add(alias);
        return new TensorSpec(name, shape, all);
    }

    /** The number of elements of all {@code specs}. */
    public static long elements(List<TensorSpec> specs) {
        return specs.stream().mapToLong(spec -> spec.shape().elements()).sum();
    }
}
