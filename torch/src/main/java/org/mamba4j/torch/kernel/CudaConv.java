package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.Memory.dense;
import static org.mamba4j.torch.kernel.Memory.withContiguousRows;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * The causal convolution with silu on an NVIDIA GPU ({@code cuda/causal_conv.cu}); x float32 or bfloat16, parameters
 * float32. The initial state has no gradient here: training starts sequences from nothing.
 */
public final class CudaConv implements CausalConv {
    /** Bytes of the kernels' {@code ConvParams}: 11 pointers, 9 64-bit and 3 32-bit integers, padded. */
    private static final long PARAMETER_BYTES = 11 * 8 + 9 * 8 + 4 * 4;

    private static final int CHANNELS_PER_BLOCK = 128;
    private static final int THREADS = 256;
    private static final int SUMS_PER_BLOCK = 32;
    private static final int VECTOR_BYTES = 16;
    private static final Tensor ABSENT = Tensors.absent();

    @Override
    public SequenceOutput apply(ConvInputs in, boolean wantState) {
        if (in.initialState().defined() && in.initialState().requires_grad()) {
            throw new IllegalArgumentException(
                    "the CUDA convolution has no gradient for its initial state: detach it first");
        }
        List<Tensor> inputs = List.of(in.x(), in.weight(), in.bias());
        Tensor x = withContiguousRows(in.x().detach());
        Operation operation = new Operation(
                x,
                dense(in.weight().detach()),
                in.bias().defined() ? dense(in.bias().detach()) : ABSENT,
                before(in.initialState(), x));
        Tensor y = torch.empty_like(x).contiguous();
        operation.forward(y);
        Tensor last = wantState ? lastInputs(in) : ABSENT;
        if (CustomGradient.wanted(inputs)) {
            Operation saved = operation.save();
            CustomGradient.apply(y, inputs, (gradY, gradients) -> saved.backward(withContiguousRows(gradY), gradients));
        }
        return new SequenceOutput(y, last);
    }

    /** The state (B, D, K - 1) as the kernel reads it: (B, K - 1, D), of x's type. */
    private static Tensor before(Tensor state, Tensor x) {
        return state.defined()
                ? state.detach().transpose(1, 2).to(x.scalar_type()).contiguous()
                : ABSENT;
    }

    /** The last K - 1 inputs (B, D, K - 1) float32, older ones from the initial state. */
    private static Tensor lastInputs(ConvInputs in) {
        long wanted = in.weight().size(2) - 1;
        Tensor x = in.x().detach().transpose(1, 2).to(ScalarType.Float); // (B, D, L)
        Tensor earlier = in.initialState().defined()
                ? in.initialState()
                : Tensors.emptyLike(x, ScalarType.Float, x.size(0), x.size(1), wanted)
                        .zero_();
        Tensor all = torch.cat(new TensorVector(earlier, x), 2);
        return all.narrow(2, all.size(2) - wanted, wanted).contiguous();
    }

    /** One convolution: its inputs, sizes and launches. */
    record Operation(Tensor x, Tensor weight, Tensor bias, Tensor before) {
        Operation save() {
            return new Operation(
                    CustomGradient.save(x),
                    CustomGradient.save(weight),
                    CustomGradient.save(bias),
                    CustomGradient.save(before));
        }

        void forward(Tensor y) {
            if (x.numel() == 0) {
                return;
            }
            LaunchShape shape = LaunchShape.grid(blocks(), steps(0), batch(), THREADS);
            module().kernel("causal_conv_forward")
                    .launch(shape, PARAMETER_BYTES, to -> write(to, y, ABSENT, List.of(), ABSENT, 0));
        }

        void backward(Tensor gradY, List<Tensor> gradients) {
            if (x.numel() == 0) {
                gradients.stream().filter(Tensor::defined).forEach(Tensor::zero_);
                return;
            }
            int parts = batch() * steps(1);
            Tensor gradX = gradients.get(0).defined() ? gradients.get(0) : Tensors.emptyLike(x);
            Tensor gradWeight = gradients.get(1).defined() ? gradients.get(1) : Tensors.emptyLike(weight);
            List<Tensor> all = List.of(gradX, gradWeight, gradients.get(2));
            Tensor partial = Tensors.emptyLike(x, ScalarType.Float, parts, width() + 1L, x.size(2));
            module().kernel("causal_conv_backward")
                    .launch(
                            LaunchShape.grid(blocks(), steps(1), batch(), THREADS),
                            PARAMETER_BYTES,
                            to -> write(to, ABSENT, gradY, all, partial, parts));
            int sums = Math.toIntExact(Math.ceilDiv(x.size(2) * (width() + 1L), (long) SUMS_PER_BLOCK));
            module().kernel("causal_conv_sum_parameters")
                    .launch(
                            LaunchShape.of(sums, THREADS),
                            PARAMETER_BYTES,
                            to -> write(to, ABSENT, gradY, all, partial, parts));
        }

        /** The fields of {@code ConvParams} in causal_conv.cu, in their order. */
        private void write(StructWriter to, Tensor y, Tensor gradY, List<Tensor> gradients, Tensor partial, int parts) {
            Tensor gradX = gradients.isEmpty() ? ABSENT : gradients.get(0);
            to.pointer(x).pointer(before).pointer(weight).pointer(bias).absent().pointer(y);
            to.pointer(gradY).pointer(gradX);
            to.pointer(gradients.isEmpty() ? ABSENT : gradients.get(1));
            to.pointer(gradients.isEmpty() ? ABSENT : gradients.get(2));
            to.pointer(partial);
            to.strides(x).strides(y).strides(gradY).strides(gradX);
            int rowsAligned = CudaOptions.aligned(x, y, gradY, gradX) ? 1 : 0;
            int weightAligned = weight.data_ptr().address() % VECTOR_BYTES == 0 ? 2 : 0;
            to.int64(x.size(1)).int32(Math.toIntExact(x.size(2)));
            to.int32(rowsAligned + weightAligned).int32(parts);
        }

        private int batch() {
            return Math.toIntExact(x.size(0));
        }

        private int width() {
            return Math.toIntExact(weight.size(2));
        }

        private int blocks() {
            return Math.toIntExact(Math.ceilDiv(x.size(2), (long) CHANNELS_PER_BLOCK));
        }

        private int steps(int pass) {
            int each = module().ints("causal_conv_geometry")[pass];
            return Math.toIntExact(Math.ceilDiv(x.size(1), (long) each));
        }

        private KernelModule module() {
            return KernelModule.load(
                    CudaConv.class,
                    "causal_conv.cu",
                    CudaOptions.of(x).with("CONV_W", width()).with("SILU", 1).list());
        }
    }
}
