package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.Memory.dense;
import static org.mamba4j.torch.kernel.Memory.rows;
import static org.mamba4j.torch.kernel.Memory.segment;
import static org.mamba4j.torch.kernel.Memory.withContiguousRows;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.ConvGradients;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.Tensors;

/** The causal convolution with silu over core's kernels; it keeps its inputs only. */
public final class FusedConv implements CausalConv {
    private final SequenceKernels kernels;

    /** @param kernels what runs it */
    public FusedConv(SequenceKernels kernels) {
        this.kernels = kernels;
    }

    @Override
    public SequenceOutput apply(ConvInputs in, boolean wantState) {
        List<Tensor> inputs = List.of(in.x(), in.weight(), in.bias(), in.initialState());
        Tensor x = withContiguousRows(in.x());
        Tensor weight = dense(in.weight());
        Tensor bias = dense(in.bias());
        Tensor initialState = dense(in.initialState());
        Tensor y = Tensors.empty(ScalarType.Float, x.shape());
        Tensor last = wantState
                ? Tensors.empty(ScalarType.Float, x.size(0), x.size(2), weight.size(2) - 1)
                : Tensors.absent();
        kernels.convForward(arguments(x, weight, bias, initialState)
                .y(rows("y", y))
                .lastState(segment("lastState", last))
                .build());
        if (CustomGradient.wanted(inputs)) {
            Tensor savedX = CustomGradient.save(x);
            Tensor savedWeight = CustomGradient.save(weight);
            Tensor savedBias = CustomGradient.save(bias);
            Tensor savedState = CustomGradient.save(initialState);
            CustomGradient.apply(
                    y,
                    inputs,
                    (gradY, gradients) -> kernels.convBackward(
                            arguments(savedX, savedWeight, savedBias, savedState)
                                    .build(),
                            ConvGradients.builder()
                                    .y(rows("gradient of y", withContiguousRows(gradY)))
                                    .x(rows("gradient of x", gradients.get(0)))
                                    .weight(segment("gradient of weight", gradients.get(1)))
                                    .bias(segment("gradient of bias", gradients.get(2)))
                                    .initialState(segment("gradient of initialState", gradients.get(3)))
                                    .build()));
        }
        return new SequenceOutput(y, last);
    }

    private static ConvArguments.Builder arguments(Tensor x, Tensor weight, Tensor bias, Tensor initialState) {
        return ConvArguments.builder()
                .x(rows("x", x))
                .weight(segment("weight", weight))
                .bias(segment("bias", bias))
                .silu(true)
                .initialState(segment("initialState", initialState));
    }
}
