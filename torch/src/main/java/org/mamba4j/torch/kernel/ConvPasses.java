package org.mamba4j.torch.kernel;

import java.util.List;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.torch.Tensors;

/** {@link SequencePasses} of convolutions. */
final class ConvPasses {
    private ConvPasses() {}

    private static List<Tensor> gradients(ConvInputs in) {
        return List.of(
                Tensors.emptyLike(in.x()),
                Tensors.emptyLike(in.weight()),
                in.bias().defined() ? Tensors.emptyLike(in.bias()) : in.bias(),
                in.initialState().defined() ? Tensors.emptyLike(in.initialState()) : in.initialState());
    }

    /** The CUDA kernels. */
    static final class OnGpu implements SequencePasses {
        private final CudaConv.Operation operation;
        private final Tensor y;
        private final List<Tensor> gradients;

        OnGpu(ConvInputs in) {
            if (in.initialState().defined()) {
                throw new IllegalArgumentException("an initial state is not supported here");
            }
            operation = new CudaConv.Operation(in.x(), in.weight(), in.bias(), in.initialState(), in.resets());
            y = Tensors.emptyLike(in.x());
            gradients = ConvPasses.gradients(in);
        }

        @Override
        public Tensor forward() {
            operation.forward(y);
            return y;
        }

        @Override
        public List<Tensor> backward(Tensor gradY) {
            operation.backward(gradY, gradients);
            return gradients;
        }
    }

    /** Shifted products added up, out of libtorch's operations and gradients, on any device. */
    static final class Composed implements SequencePasses {
        private final ConvInputs in;
        private Tensor x = Tensors.absent();
        private Tensor weight = Tensors.absent();
        private Tensor bias = Tensors.absent();
        private Tensor y = Tensors.absent();

        Composed(ConvInputs in) {
            this.in = in;
        }

        @Override
        public Tensor forward() {
            x = in.x().detach().requires_grad_(true);
            weight = in.weight().detach().requires_grad_(true);
            bias = in.bias().detach().requires_grad_(true);
            long length = x.size(1);
            long taps = weight.size(2);
            Tensor before = Tensors.emptyLike(x, ScalarType.Float, x.size(0), taps - 1, x.size(2));
            Tensor padded = torch.cat(new TensorVector(before.zero_(), x), 1); // (B, K-1+L, D)
            Tensor sum = bias;
            for (long tap = 0; tap < taps; tap++) {
                sum = padded.narrow(1, tap, length)
                        .mul(weight.select(2, tap).select(1, 0))
                        .add(sum);
            }
            y = torch.silu(sum);
            return y.detach();
        }

        @Override
        public List<Tensor> backward(Tensor gradY) {
            y.backward(gradY, new BoolOptional(), false, new TensorArrayRefOptional());
            return List.of(x.grad(), weight.grad(), bias.grad(), in.initialState());
        }
    }

    /** Core's kernels. */
    static final class OnCpu implements SequencePasses {
        private final SequenceKernels kernels;
        private final ConvInputs in;
        private final Tensor y;
        private final List<Tensor> gradients;

        OnCpu(SequenceKernels kernels, ConvInputs in) {
            this.kernels = kernels;
            this.in = in;
            y = Tensors.emptyLike(in.x());
            gradients = ConvPasses.gradients(in);
        }

        @Override
        public Tensor forward() {
            FusedConv.forward(kernels, in, y, Tensors.absent());
            return y;
        }

        @Override
        public List<Tensor> backward(Tensor gradY) {
            FusedConv.backward(kernels, in, gradY, gradients);
            return gradients;
        }
    }
}
