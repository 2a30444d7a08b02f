package org.mamba4j.torch.kernel;

import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.CausalConvContract;
import org.mamba4j.kernel.Comparison;
import org.mamba4j.kernel.ConvCase;
import org.mamba4j.torch.TensorScope;

/** {@link CausalConvContract} for {@link CausalConv}, through libtorch's autograd. */
abstract class TorchConvContract extends CausalConvContract {
    protected abstract CausalConv conv();

    /** Where and in what type the activations are. */
    protected abstract Placement placement();

    @Override
    protected int options(int wanted) {
        return (wanted | ConvCase.SILU) & ~ConvCase.LAST_STATE_GRADIENT;
    }

    @Override
    protected ConvCase given(ConvCase s) {
        Placement place = placement();
        return place.type() == ScalarType.Float
                ? s
                : new ConvCase(
                        s.batch(),
                        s.length(),
                        s.channels(),
                        s.width(),
                        s.silu(),
                        place.round(s.x()),
                        s.weight(),
                        s.bias(),
                        place.round(s.initialState()),
                        place.round(s.gradY()),
                        s.gradLastState(),
                        s.resets());
    }

    @Override
    protected Comparison comparison() {
        return placement().comparison();
    }

    @Override
    protected Map<String, float[]> run(ConvCase s) {
        return TensorScope.call(() -> {
            Placement place = placement();
            Placement.Layout layout = Placement.Layout.of(s.length());
            int b = s.batch();
            int l = s.length();
            int d = s.channels();
            Tensor x = place.rows(s.x(), layout, b, l, d).requires_grad_(true);
            Tensor weight = place.parameter(s.weight(), d, 1, s.width()).requires_grad_(true);
            Tensor bias = place.optional(s.bias(), d);
            Tensor start = place.optional(s.initialState(), b, d, s.width() - 1L);
            Map<String, Tensor> leaves = new LinkedHashMap<>();
            leaves.put("x", x);
            leaves.put("weight", weight);
            if (bias.defined()) {
                leaves.put("bias", bias.requires_grad_(true));
            }
            if (start.defined()) {
                leaves.put("initialState", start.requires_grad_(true));
            }
            ConvInputs inputs = new ConvInputs(x, weight, bias, start).withResets(place.flags(s.resets(), b, l));
            SequenceOutput out = conv().apply(inputs, true);
            DifferentiableScanTest.backward(out.y(), place.rows(s.gradY(), layout, b, l, d));
            Map<String, float[]> results = new LinkedHashMap<>();
            results.put("y", Placement.floats(out.y()));
            results.put("lastState", Placement.floats(out.lastState()));
            leaves.forEach((name, leaf) -> results.put("grad " + name, Placement.floats(leaf.grad())));
            return results;
        });
    }
}
