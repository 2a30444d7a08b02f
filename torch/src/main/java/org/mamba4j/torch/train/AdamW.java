package org.mamba4j.torch.train;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.Parameter;

/**
 * AdamW: gradient descent whose step is, per value, the mean of the gradients over the root of the mean of their
 * squares, with weight decay apart from both [1, algorithm 2]. With g the gradient of step t:
 *
 * <pre>
 * p ← p - lr · decay · p
 * m ← β₁ m + (1 - β₁) g          v ← β₂ v + (1 - β₂) g²
 * p ← p - lr · (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)
 * </pre>
 *
 * <p>Parameters form groups: those that decay, those that do not, and of each those whose rate has a limit ({@link
 * Parameter#greatestRate}). One fused operator updates all tensors of a
 * group, which on a CPU is a few times faster than one operator per formula and tensor. Gradients are kept between
 * steps and added to in place, so the lists handed to the operator are built once.
 *
 * <p>[1] Loshchilov and Hutter, <i>Decoupled Weight Decay Regularization</i>, 2019.
 */
public final class AdamW implements AutoCloseable {
    private final Settings settings;
    private final List<Group> groups = new ArrayList<>();
    private final Map<String, Tensor> state = new LinkedHashMap<>();
    private final List<Pointer> owned = new ArrayList<>();
    private final IValue gradients;
    private final Tensor steps;

    /**
     * What stays the same from step to step.
     *
     * @param beta1 decay of the mean, in [0, 1)
     * @param beta2 decay of the mean of squares, in [0, 1)
     * @param eps added to the root
     * @param weightDecay of the parameters that decay
     */
    public record Settings(double beta1, double beta2, double eps, double weightDecay) {}

    /** The lists that the fused operator takes. */
    private record Group(double weightDecay, double greatestRate, List<IValue> lists) {}

    /** What the members of a group have in common. */
    private record Kind(boolean decays, double greatestRate) {
        static Kind of(Parameter parameter) {
            return new Kind(parameter.decays(), parameter.greatestRate());
        }
    }

    /**
     * An optimiser that has seen nothing.
     *
     * @param parameters must outlive it; each gets a gradient of zeros, unless it has one
     */
    public AdamW(Collection<Parameter> parameters, Settings settings) {
        this.settings = settings;
        try (TensorScope scope = new TensorScope()) {
            Tensor first = parameters.iterator().next().tensor().detach();
            steps = own(scope, torch.zeros(new long[0], first.options()));
            List<Tensor> all = new ArrayList<>();
            for (Parameter parameter : parameters) {
                Tensor tensor = parameter.tensor();
                if (!tensor.grad().defined()) {
                    tensor.mutable_grad().put(torch.zeros_like(tensor.detach()));
                }
                all.add(tensor.grad());
                state.put("mean." + parameter.name(), own(scope, torch.zeros_like(tensor.detach())));
                state.put("square." + parameter.name(), own(scope, torch.zeros_like(tensor.detach())));
            }
            gradients = own(scope, Operators.list(all));
            parameters.stream()
                    .collect(Collectors.groupingBy(Kind::of, LinkedHashMap::new, Collectors.toList()))
                    .forEach((kind, members) -> addGroup(scope, kind, members));
        }
    }

    private void addGroup(TensorScope scope, Kind kind, List<Parameter> members) {
        List<IValue> lists = List.of(
                Operators.list(members.stream().map(Parameter::tensor).toList()),
                Operators.list(members.stream().map(p -> p.tensor().grad()).toList()),
                Operators.list(members.stream().map(p -> state("mean.", p)).toList()),
                Operators.list(members.stream().map(p -> state("square.", p)).toList()),
                Operators.list(List.of()),
                Operators.list(members.stream().map(p -> steps).toList()));
        lists.forEach(list -> own(scope, list));
        groups.add(new Group(kind.decays() ? settings.weightDecay() : 0, kind.greatestRate(), lists));
    }

    private Tensor state(String kind, Parameter parameter) {
        return state.getOrDefault(kind + parameter.name(), Tensors.absent());
    }

    private <T extends Pointer> T own(TensorScope scope, T object) {
        owned.add(object);
        return scope.release(object);
    }

    /** Forgets the gradients; to be called before the first backward pass of a step. */
    public void zeroGradients() {
        NoGrad.run(() -> Operators.zero(gradients));
    }

    /**
     * Scales all gradients down so that their global norm is at most {@code largest}.
     *
     * @param largest 0 changes nothing
     * @return the norm before
     */
    public double clip(double largest) {
        return NoGrad.call(() -> {
            double norm = Operators.norm(gradients);
            if (largest > 0 && norm > largest && Double.isFinite(norm)) {
                Operators.scale(gradients, largest / norm);
            }
            return norm;
        });
    }

    /** Multiplies all gradients by a number. */
    public void scaleGradients(double factor) {
        NoGrad.run(() -> Operators.scale(gradients, factor));
    }

    /**
     * Changes the parameters.
     *
     * @param rate learning rate of this step, for all that have no lower limit
     */
    public void step(double rate) {
        NoGrad.run(() -> TensorScope.run(() -> {
            steps.add_(new Scalar(1.0f));
            for (Group group : groups) {
                Operators.adamW(group.lists, Math.min(rate, group.greatestRate), group.weightDecay, settings);
            }
        }));
    }

    /** Steps made. */
    public int steps() {
        return (int) steps.item_float();
    }

    /** Means and means of squares by name, float32, of the shapes of their parameters; for checkpoints. */
    public Map<String, Tensor> state() {
        return java.util.Collections.unmodifiableMap(state);
    }

    /** Says how many steps have made the {@link #state} that was put in place of this optimiser's. */
    public void setSteps(int count) {
        TensorScope.run(() -> steps.fill_(new Scalar((float) count)));
    }

    /** Frees all but the parameters and their gradients. */
    @Override
    public void close() {
        owned.forEach(Pointer::close);
    }
}
