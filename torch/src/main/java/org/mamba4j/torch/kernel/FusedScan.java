package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.Memory.dense;
import static org.mamba4j.torch.kernel.Memory.rows;
import static org.mamba4j.torch.kernel.Memory.segment;
import static org.mamba4j.torch.kernel.Memory.withContiguousRows;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.ScanGradients;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * The selective scan over core's kernels. Between the passes it keeps the inputs, which other operations keep anyway, and
 * the states at chunk boundaries. Columns of wider tensors (the halves of in_proj's output, the parts of x_proj's) are
 * read where they are. Packed documents are scanned one after another.
 */
public final class FusedScan implements SelectiveScan {
    // Where the gradients stand that are not cut into steps.
    private static final int A = 2;
    private static final int D = 5;
    private static final int DELTA_BIAS = 6;
    private static final int INITIAL_STATE = 8;

    private final SequenceKernels kernels;

    /** @param kernels what runs it */
    public FusedScan(SequenceKernels kernels) {
        this.kernels = kernels;
    }

    @Override
    public SequenceOutput apply(ScanInputs in, boolean wantState) {
        List<Tensor> inputs =
                List.of(in.u(), in.delta(), in.a(), in.b(), in.c(), in.d(), in.deltaBias(), in.z(), in.initialState());
        ScanInputs packed = pack(in);
        long batch = in.u().size(0);
        long channels = in.u().size(2);
        long states = in.a().size(1);
        List<Documents.Span> spans = Documents.spans(in.resets(), batch, in.u().size(1));
        Tensor y = Tensors.empty(ScalarType.Float, in.u().shape());
        Tensor last = wantState ? Tensors.empty(ScalarType.Float, batch, channels, states) : Tensors.absent();
        boolean train = CustomGradient.wanted(inputs);
        List<Tensor> checkpoints = spans.stream()
                .map(span -> train ? newCheckpoints(span, channels, states) : Tensors.absent())
                .toList();
        TensorScope.run(() -> {
            ScanInputs detached = packed.map(tensor -> tensor.defined() ? tensor.detach() : tensor);
            for (int i = 0; i < spans.size(); i++) {
                Documents.Span span = spans.get(i);
                kernels.scanForward(arguments(detached.part(span), span.rows(y), span.end(last), checkpoints.get(i)));
            }
        });
        if (train) {
            ScanInputs saved = packed.map(CustomGradient::save);
            List<Tensor> savedCheckpoints =
                    checkpoints.stream().map(CustomGradient::save).toList();
            CustomGradient.apply(
                    y, inputs, (gradY, gradients) -> backward(saved, spans, savedCheckpoints, gradY, gradients));
        }
        return new SequenceOutput(y, last);
    }

    private Tensor newCheckpoints(Documents.Span span, long channels, long states) {
        return Tensors.empty(
                ScalarType.Byte,
                kernels.scanCheckpointBytes(
                        Math.toIntExact(span.items()),
                        Math.toIntExact(span.steps()),
                        Math.toIntExact(channels),
                        Math.toIntExact(states)));
    }

    private void backward(
            ScanInputs in, List<Documents.Span> spans, List<Tensor> checkpoints, Tensor gradY, List<Tensor> gradients) {
        if (spans.size() == 1 && spans.getFirst().continues()) {
            backward(kernels, in.part(spans.getFirst()), checkpoints.getFirst(), gradY, gradients);
            return;
        }
        for (int sum : List.of(A, D, DELTA_BIAS, INITIAL_STATE)) {
            if (gradients.get(sum).defined()) {
                gradients.get(sum).zero_();
            }
        }
        for (int i = 0; i < spans.size(); i++) {
            Documents.Span span = spans.get(i);
            Tensor kept = checkpoints.get(i);
            TensorScope.run(() -> {
                List<Tensor> parts = new ArrayList<>();
                for (int input = 0; input < gradients.size(); input++) {
                    Tensor gradient = gradients.get(input);
                    parts.add(
                            switch (input) {
                                case A, D, DELTA_BIAS -> Memory.scratch(gradient);
                                case INITIAL_STATE -> span.start(gradient);
                                default -> span.rows(gradient);
                            });
                }
                backward(kernels, in.part(span), kept, span.rows(gradY), parts);
                for (int sum : List.of(A, D, DELTA_BIAS)) {
                    Memory.add(parts.get(sum), gradients.get(sum));
                }
            });
        }
    }

    /**
     * One document a sequence. Fills {@code gradients}, in the order of {@link #apply}'s inputs; absent ones are not
     * wanted.
     */
    static void backward(
            SequenceKernels kernels, ScanInputs in, Tensor checkpoints, Tensor gradY, List<Tensor> gradients) {
        kernels.scanBackward(
                arguments(in, Tensors.absent(), Tensors.absent(), checkpoints),
                ScanGradients.builder()
                        .y(rows("gradient of y", withContiguousRows(gradY)))
                        .u(rows("gradient of u", gradients.get(0)))
                        .delta(rows("gradient of delta", gradients.get(1)))
                        .a(segment("gradient of a", gradients.get(A)))
                        .b(rows("gradient of b", gradients.get(3)))
                        .c(rows("gradient of c", gradients.get(4)))
                        .d(segment("gradient of d", gradients.get(D)))
                        .deltaBias(segment("gradient of deltaBias", gradients.get(DELTA_BIAS)))
                        .z(rows("gradient of z", gradients.get(7)))
                        .initialState(segment("gradient of initialState", gradients.get(INITIAL_STATE)))
                        .build());
    }

    static ScanArguments arguments(ScanInputs in, Tensor y, Tensor last, Tensor checkpoints) {
        return ScanArguments.builder()
                .u(rows("u", in.u()))
                .delta(rows("delta", in.delta()))
                .a(segment("a", in.a()))
                .b(rows("b", in.b()))
                .c(rows("c", in.c()))
                .d(segment("d", in.d()))
                .deltaBias(segment("deltaBias", in.deltaBias()))
                .z(rows("z", in.z()))
                .softplus(in.softplus())
                .initialState(segment("initialState", in.initialState()))
                .y(rows("y", y))
                .lastState(segment("lastState", last))
                .checkpoints(checkpoints.defined() ? Tensors.segment(checkpoints) : MemorySegment.NULL)
                .build();
    }

    private static ScanInputs pack(ScanInputs in) {
        return new ScanInputs(
                withContiguousRows(in.u()),
                withContiguousRows(in.delta()),
                dense(in.a()),
                withContiguousRows(in.b()),
                withContiguousRows(in.c()),
                dense(in.d()),
                dense(in.deltaBias()),
                withContiguousRows(in.z()),
                in.softplus(),
                dense(in.initialState()),
                in.resets());
    }
}
