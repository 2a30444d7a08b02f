package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.Tensors;

/**
 * The causal convolution out of libtorch's operations: the earlier inputs are put in front, then a grouped conv1d. With
 * packed documents, where the taps that are seen differ from step to step, a sum over the taps.
 */
public final class ComposedConv implements CausalConv {
    @Override
    public SequenceOutput apply(ConvInputs in, boolean wantState) {
        Tensor last = wantState ? in.lastInputs() : Tensors.absent();
        if (in.x().size(1) == 0) {
            return new SequenceOutput(in.x(), last);
        }
        long before = in.weight().size(2) - 1;
        Tensor history = in.initialState().defined()
                ? in.initialState()
                : Tensors.zeros(in.x().size(0), in.x().size(2), before);
        Tensor padded = torch.cat(new TensorVector(history, in.x().transpose(1, 2)), 2); // (B, D, K-1+L)
        Tensor convolved = in.resets().defined() ? withinDocuments(in, padded) : convolve(in, padded);
        return new SequenceOutput(torch.silu(convolved.transpose(1, 2)), last); // (B, L, D)
    }

    private static Tensor convolve(ConvInputs in, Tensor padded) {
        return torch.conv1d(
                padded,
                in.weight(),
                new TensorOptional(in.bias()),
                new long[] {1},
                new long[] {0},
                new long[] {1},
                in.x().size(2));
    }

    private static Tensor withinDocuments(ConvInputs in, Tensor padded) {
        long length = in.x().size(1);
        long taps = in.weight().size(2);
        Tensor numbers = Documents.numbers(in.resets(), taps - 1); // (B, K-1+L)
        Tensor own = numbers.narrow(1, taps - 1, length); // (B, L)
        Tensor sum = in.bias().defined() ? in.bias().unsqueeze(1) : Tensors.zeros(1, 1); // (D, 1)
        for (long tap = 0; tap < taps; tap++) {
            Tensor hidden = numbers.narrow(1, tap, length).ne(own).unsqueeze(1); // (B, 1, L)
            Tensor seen = padded.narrow(2, tap, length).masked_fill(hidden, new Scalar(0)); // (B, D, L)
            sum = sum.add(seen.mul(in.weight().select(2, tap)));
        }
        return sum; // (B, D, L)
    }
}
