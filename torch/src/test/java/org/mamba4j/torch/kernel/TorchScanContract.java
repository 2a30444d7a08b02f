package org.mamba4j.torch.kernel;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.Comparison;
import org.mamba4j.kernel.ScanCase;
import org.mamba4j.kernel.SelectiveScanContract;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** {@link SelectiveScanContract} for {@link SelectiveScan}, through libtorch's autograd. */
abstract class TorchScanContract extends SelectiveScanContract {
    private static final List<String> NAMES =
            List.of("u", "delta", "a", "b", "c", "d", "deltaBias", "z", "initialState");

    protected abstract SelectiveScan scan();

    /** Where and in what type the activations are. */
    protected abstract Placement placement();

    @Override
    protected Set<ScanCase.Option> options(Set<ScanCase.Option> wanted) {
        return wanted.stream()
                .filter(option -> option != ScanCase.Option.LAST_STATE_GRADIENT)
                .collect(Collectors.toSet());
    }

    @Override
    protected ScanCase given(ScanCase s) {
        Placement place = placement();
        return place.type() == ScalarType.Float
                ? s
                : new ScanCase(
                        s.batch(),
                        s.length(),
                        s.channels(),
                        s.states(),
                        s.softplus(),
                        place.round(s.u()),
                        place.round(s.delta()),
                        s.a(),
                        place.round(s.b()),
                        place.round(s.c()),
                        s.d(),
                        s.deltaBias(),
                        place.round(s.z()),
                        s.initialState(),
                        place.round(s.gradY()),
                        s.gradLastState(),
                        s.resets());
    }

    @Override
    protected Comparison comparison() {
        return placement().comparison();
    }

    @Override
    protected Map<String, float[]> run(ScanCase s) {
        return TensorScope.call(() -> {
            Placement place = placement();
            Placement.Layout layout = Placement.Layout.of(s.length());
            int b = s.batch();
            int l = s.length();
            int d = s.channels();
            int n = s.states();
            List<Tensor> leaves = new ArrayList<>();
            leaves.add(place.rows(s.u(), layout, b, l, d));
            leaves.add(place.rows(s.delta(), layout, b, l, d));
            leaves.add(place.parameter(s.a(), d, n));
            leaves.add(place.rows(s.b(), layout, b, l, n));
            leaves.add(place.rows(s.c(), layout, b, l, n));
            leaves.add(place.optional(s.d(), d));
            leaves.add(place.optional(s.deltaBias(), d));
            leaves.add(s.z().length == 0 && s.u().length > 0 ? Tensors.absent() : place.rows(s.z(), layout, b, l, d));
            leaves.add(place.optional(s.initialState(), b, d, n));
            leaves.stream().filter(Tensor::defined).forEach(leaf -> leaf.requires_grad_(true));
            ScanInputs inputs = new ScanInputs(
                            leaves.get(0),
                            leaves.get(1),
                            leaves.get(2),
                            leaves.get(3),
                            leaves.get(4),
                            leaves.get(5),
                            leaves.get(6),
                            leaves.get(7),
                            s.softplus(),
                            leaves.get(8))
                    .withResets(place.flags(s.resets(), b, l));
            SequenceOutput out = scan().apply(inputs, true);
            DifferentiableScanTest.backward(out.y(), place.rows(s.gradY(), layout, b, l, d));
            Map<String, float[]> results = new LinkedHashMap<>();
            results.put("y", Placement.floats(out.y()));
            results.put("lastState", Placement.floats(out.lastState()));
            for (int i = 0; i < NAMES.size(); i++) {
                boolean there = leaves.get(i).defined();
                if (there || i < NAMES.size() - 1) {
                    Tensor gradient = there ? leaves.get(i).grad() : Tensors.absent();
                    results.put("grad " + NAMES.get(i), Placement.floats(gradient));
                }
            }
            return results;
        });
    }
}
