package org.mamba4j.torch.nn;

import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.TensorSpec;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * The trained tensors of one model by name, in the order of the forward pass, and the constants that it computes with. Owns
 * their memory.
 */
public final class Parameters implements AutoCloseable {
    private static final Set<String> STATE_SPACE = Set.of("A_log", "A_imag", "B", "C");

    private final Map<String, Parameter> byName = new LinkedHashMap<>();
    private final Map<String, Tensor> constants = new ConcurrentHashMap<>();

    /**
     * Zeros for each of {@code specs}, outside of every scope.
     *
     * @param specs what the configuration lists
     */
    Parameters(List<TensorSpec> specs) {
        try (TensorScope scope = new TensorScope()) {
            for (TensorSpec spec : specs) {
                Tensor tensor = Tensors.zeros(spec.shape().toArray());
                tensor.requires_grad_(true);
                byName.put(spec.name(), new Parameter(spec.name(), scope.release(tensor), decays(spec)));
            }
        }
    }

    /**
     * Matrices and short convolutions decay; what is a number of a continuous system, or of what draws a long kernel, has a
     * meaning of its own, whatever its shape.
     */
    private static boolean decays(TensorSpec spec) {
        String name = spec.name();
        return spec.shape().rank() >= 2
                && !name.contains(".ssm.")
                && !name.contains(".shift.")
                && !name.contains(".filter.")
                && !STATE_SPACE.contains(name.substring(name.lastIndexOf('.') + 1));
    }

    /** All of them. */
    public Collection<Parameter> all() {
        return Collections.unmodifiableCollection(byName.values());
    }

    /** The tensor called {@code name}, or {@link Tensors#absent()} where the configuration has none (a bias). */
    public Tensor get(String name) {
        Parameter parameter = byName.get(name);
        return parameter == null ? Tensors.absent() : parameter.tensor();
    }

    /**
     * Numbers that every pass reads and no training changes: computed at the first call, then kept where the parameters
     * are. A pass that is to be recorded can copy nothing from the host.
     *
     * @param name tells it from the model's others
     * @param values in row-major order
     * @return float32, of that shape
     */
    Tensor constant(String name, Supplier<float[]> values, long... shape) {
        return constants.computeIfAbsent(name, key -> {
            try (TensorScope scope = new TensorScope()) {
                return scope.release(Tensors.of(values.get(), shape).to(here(), ScalarType.Float));
            }
        });
    }

    /** {@code start} and the numbers after it up to before {@code end}: float32, where the parameters are. */
    Tensor range(long start, long end) {
        Tensor like = byName.values().iterator().next().tensor().detach();
        return torch.arange(new Scalar(start), new Scalar(end), like.options());
    }

    private Device here() {
        return byName.values().iterator().next().tensor().device();
    }

    /**
     * Moves all to a device; the handles stay the same.
     *
     * @param device as {@link org.mamba4j.torch.Devices#of} has it
     */
    void moveTo(String device) {
        forgetConstants();
        for (Parameter parameter : all()) {
            Tensor tensor = parameter.tensor();
            NoGrad.run(() -> TensorScope.run(() -> tensor.set_data(Tensors.on(device, tensor.detach()))));
        }
    }

    /** How many numbers there are. */
    public long count() {
        return all().stream().mapToLong(parameter -> parameter.tensor().numel()).sum();
    }

    /** Frees all tensors and their gradients. */
    @Override
    public void close() {
        byName.values().forEach(parameter -> parameter.tensor().close());
        forgetConstants();
    }

    private void forgetConstants() {
        constants.values().forEach(Tensor::close);
        constants.clear();
    }
}
