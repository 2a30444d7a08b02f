package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.Tensors;

/** The causal convolution out of libtorch's operations: the earlier inputs are put in front, then a grouped conv1d. */
public final class ComposedConv implements CausalConv {
    @Override
    public SequenceOutput apply(ConvInputs in, boolean wantState) {
        long batch = in.x().size(0);
        long length = in.x().size(1);
        long channels = in.x().size(2);
        long before = in.weight().size(2) - 1;
        Tensor history = in.initialState().defined() ? in.initialState() : Tensors.zeros(batch, channels, before);
        Tensor padded = torch.cat(new TensorVector(history, in.x().transpose(1, 2)), 2); // (B, D, K-1+L)
        Tensor last = wantState ? padded.detach().narrow(2, length, before).contiguous() : Tensors.absent();
        if (length == 0) {
            return new SequenceOutput(in.x(), last);
        }
        Tensor convolved = torch.conv1d(
                padded,
                in.weight(),
                new TensorOptional(in.bias()),
                new long[] {1},
                new long[] {0},
                new long[] {1},
                channels);
        return new SequenceOutput(torch.silu(convolved.transpose(1, 2)), last); // (B, L, D)
    }
}
