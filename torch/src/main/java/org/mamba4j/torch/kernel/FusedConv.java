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
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** The causal convolution with silu over core's kernels, document by document; it keeps its inputs only. */
public final class FusedConv implements CausalConv {
    private final SequenceKernels kernels;

    /** @param kernels what runs it */
    public FusedConv(SequenceKernels kernels) {
        this.kernels = kernels;
    }

    @Override
    public SequenceOutput apply(ConvInputs in, boolean wantState) {
        List<Tensor> inputs = List.of(in.x(), in.weight(), in.bias(), in.initialState());
        ConvInputs packed = new ConvInputs(
                withContiguousRows(in.x()),
                dense(in.weight()),
                dense(in.bias()),
                dense(in.initialState()),
                in.resets());
        long batch = in.x().size(0);
        long channels = in.x().size(2);
        List<Documents.Span> spans = Documents.spans(in.resets(), batch, in.x().size(1));
        Tensor y = Tensors.empty(ScalarType.Float, in.x().shape());
        Tensor last = wantState
                ? Tensors.empty(ScalarType.Float, batch, channels, in.weight().size(2) - 1)
                : Tensors.absent();
        TensorScope.run(() -> {
            ConvInputs detached = packed.map(tensor -> tensor.defined() ? tensor.detach() : tensor);
            spans.forEach(span -> forward(kernels, detached.part(span), span.rows(y), span.end(last)));
        });
        if (CustomGradient.wanted(inputs)) {
            ConvInputs saved = packed.map(CustomGradient::save);
            CustomGradient.apply(y, inputs, (gradY, gradients) -> backward(saved, spans, gradY, gradients));
        }
        return new SequenceOutput(y, last);
    }

    private void backward(ConvInputs in, List<Documents.Span> spans, Tensor gradY, List<Tensor> gradients) {
        if (spans.size() == 1 && spans.getFirst().continues()) {
            backward(kernels, in.part(spans.getFirst()), gradY, gradients);
            return;
        }
        gradients.subList(1, 4).stream().filter(Tensor::defined).forEach(Tensor::zero_);
        for (Documents.Span span : spans) {
            TensorScope.run(() -> {
                Tensor gradWeight = Memory.scratch(gradients.get(1));
                Tensor gradBias = Memory.scratch(gradients.get(2));
                Tensor gradX = span.rows(gradients.get(0));
                Tensor gradStart = span.start(gradients.get(3));
                backward(kernels, in.part(span), span.rows(gradY), List.of(gradX, gradWeight, gradBias, gradStart));
                Memory.add(gradWeight, gradients.get(1));
                Memory.add(gradBias, gradients.get(2));
            });
        }
    }

    /** One document a sequence. */
    static void forward(SequenceKernels kernels, ConvInputs in, Tensor y, Tensor last) {
        kernels.convForward(arguments(in)
                .y(rows("y", y))
                .lastState(segment("lastState", last))
                .build());
    }

    /** One document a sequence. Fills {@code gradients}, in the order of {@link ConvInputs}; absent ones are not wanted. */
    static void backward(SequenceKernels kernels, ConvInputs in, Tensor gradY, List<Tensor> gradients) {
        kernels.convBackward(
                arguments(in).build(),
                ConvGradients.builder()
                        .y(rows("gradient of y", withContiguousRows(gradY)))
                        .x(rows("gradient of x", gradients.get(0)))
                        .weight(segment("gradient of weight", gradients.get(1)))
                        .bias(segment("gradient of bias", gradients.get(2)))
                        .initialState(segment("gradient of initialState", gradients.get(3)))
                        .build());
    }

    private static ConvArguments.Builder arguments(ConvInputs in) {
        return ConvArguments.builder()
                .x(rows("x", in.x()))
                .weight(segment("weight", in.weight()))
                .bias(segment("bias", in.bias()))
                .silu(true)
                .initialState(segment("initialState", in.initialState()));
    }
}
