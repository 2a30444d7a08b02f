package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.Memory.dense;
import static org.mamba4j.torch.kernel.Memory.rows;
import static org.mamba4j.torch.kernel.Memory.segment;
import static org.mamba4j.torch.kernel.Memory.withContiguousRows;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.ScanGradients;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.Tensors;

/**
 * The selective scan over core's kernels. Between the passes it keeps the inputs, which other operations keep anyway, and
 * the states at chunk boundaries. Columns of wider tensors (the halves of in_proj's output, the parts of x_proj's) are
 * read where they are.
 */
public final class FusedScan implements SelectiveScan {
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
        Tensor u = packed.u();
        int batch = (int) u.size(0);
        int length = (int) u.size(1);
        int channels = (int) u.size(2);
        int states = (int) in.a().size(1);
        Tensor y = Tensors.empty(ScalarType.Float, batch, length, channels);
        Tensor last = wantState ? Tensors.empty(ScalarType.Float, batch, channels, states) : Tensors.absent();
        if (!CustomGradient.wanted(inputs)) {
            kernels.scanForward(arguments(packed, y, last, Tensors.absent()));
            return new SequenceOutput(y, last);
        }
        Tensor checkpoints =
                Tensors.empty(ScalarType.Byte, kernels.scanCheckpointBytes(batch, length, channels, states));
        kernels.scanForward(arguments(packed, y, last, checkpoints));
        ScanInputs saved = packed.map(CustomGradient::save);
        Tensor savedCheckpoints = CustomGradient.save(checkpoints);
        CustomGradient.apply(
                y, inputs, (gradY, gradients) -> backward(kernels, saved, savedCheckpoints, gradY, gradients));
        return new SequenceOutput(y, last);
    }

    /** Fills {@code gradients}, in the order of {@link #apply}'s inputs; absent ones are not wanted. */
    static void backward(
            SequenceKernels kernels, ScanInputs in, Tensor checkpoints, Tensor gradY, List<Tensor> gradients) {
        kernels.scanBackward(
                arguments(in, Tensors.absent(), Tensors.absent(), checkpoints),
                ScanGradients.builder()
                        .y(rows("gradient of y", withContiguousRows(gradY)))
                        .u(rows("gradient of u", gradients.get(0)))
                        .delta(rows("gradient of delta", gradients.get(1)))
                        .a(segment("gradient of a", gradients.get(2)))
                        .b(rows("gradient of b", gradients.get(3)))
                        .c(rows("gradient of c", gradients.get(4)))
                        .d(segment("gradient of d", gradients.get(5)))
                        .deltaBias(segment("gradient of deltaBias", gradients.get(6)))
                        .z(rows("gradient of z", gradients.get(7)))
                        .initialState(segment("gradient of initialState", gradients.get(8)))
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
                dense(in.initialState()));
    }
}
