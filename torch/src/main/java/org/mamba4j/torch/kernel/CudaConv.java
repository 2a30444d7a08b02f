package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.Memory.dense;
import static org.mamba4j.torch.kernel.Memory.withContiguousRows;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.CustomGradient;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * The causal convolution with silu on an NVIDIA GPU ({@code cuda/causal_conv.cu}); x float32 or bfloat16, parameters
 * float32; kernels of up to 8 steps.
 */
public final class CudaConv implements CausalConv {
    /** Bytes of the kernels' {@code ConvParams}: 12 pointers, 9 64-bit and 3 32-bit integers, padded. */
    private static final long PARAMETER_BYTES = 12 * 8 + 9 * 8 + 4 * 4;

    /** What a thread keeps of a channel grows with it, and is in registers. */
    private static final int MAX_WIDTH = 8;

    private static final int CHANNELS_PER_BLOCK = 128;
    private static final int THREADS = 256;
    private static final int SUMS_PER_BLOCK = 32;
    private static final int VECTOR_BYTES = 16;
    private static final Tensor ABSENT = Tensors.absent();

    @Override
    public SequenceOutput apply(ConvInputs in, boolean wantState) {
        if (in.weight().size(2) > MAX_WIDTH) {
            throw new IllegalArgumentException("weight has shape " + Tensors.shape(in.weight())
                    + ": the CUDA convolution is for kernels of at most " + MAX_WIDTH + " steps");
        }
        List<Tensor> inputs = List.of(in.x(), in.weight(), in.bias(), in.initialState());
        Tensor x = withContiguousRows(in.x().detach());
        Operation operation = new Operation(
                x,
                dense(in.weight().detach()),
                in.bias().defined() ? dense(in.bias().detach()) : ABSENT,
                before(in.initialState(), x),
                Documents.onGpu(in.resets()));
        Tensor y = torch.empty_like(x).contiguous();
        operation.forward(y);
        Tensor last = wantState ? in.lastInputs() : ABSENT;
        if (CustomGradient.wanted(inputs)) {
            Operation saved = operation.save();
            CustomGradient.apply(y, inputs, (gradY, gradients) -> saved.backward(withContiguousRows(gradY), gradients));
        }
        return new SequenceOutput(y, last);
    }

    /** The state (B, D, K - 1) as the kernel reads it: (B, K - 1, D), of x's type, from a multiple of 16 bytes on. */
    private static Tensor before(Tensor state, Tensor x) {
        if (!state.defined()) {
            return state;
        }
        Tensor rows = state.detach().transpose(1, 2).to(x.scalar_type()).contiguous();
        return GpuTensors.beginAligned(rows) ? rows : rows.clone();
    }

    /**
     * One convolution: its inputs, sizes and launches.
     *
     * @param before the inputs before the first step (B, K - 1, D), of x's type, optional
     * @param resets as {@link ConvInputs} has them, contiguous, optional
     */
    record Operation(Tensor x, Tensor weight, Tensor bias, Tensor before, Tensor resets) {
        Operation save() {
            return new Operation(
                    CustomGradient.save(x),
                    CustomGradient.save(weight),
                    CustomGradient.save(bias),
                    CustomGradient.save(before),
                    CustomGradient.save(resets));
        }

        void forward(Tensor y) {
            if (x.numel() == 0) {
                return;
            }
            LaunchShape shape =
                    LaunchShape.grid(blocks(), steps(0), batch(), THREADS).starting(LaunchShape.Start.EARLY);
            module(false)
                    .kernel("causal_conv_forward")
                    .launch(shape, PARAMETER_BYTES, to -> write(to, y, ABSENT, Gradients.NONE));
        }

        /** Fills {@code gradients} of x, weight, bias and the initial state (B, D, K - 1); absent ones are not wanted. */
        void backward(Tensor gradY, List<Tensor> gradients) {
            if (x.numel() == 0) {
                gradients.stream().filter(Tensor::defined).forEach(Tensor::zero_);
                return;
            }
            int parts = batch() * steps(1);
            Tensor start = gradients.get(3);
            Gradients all = new Gradients(
                    gradients.get(0).defined() ? gradients.get(0) : Tensors.emptyLike(x),
                    gradients.get(1).defined() ? gradients.get(1) : Tensors.emptyLike(weight),
                    gradients.get(2),
                    start.defined() ? Tensors.emptyLike(x, ScalarType.Float, before.shape()) : ABSENT,
                    Tensors.emptyLike(x, ScalarType.Float, parts, width() + 1L, x.size(2)),
                    parts);
            module(start.defined())
                    .kernel("causal_conv_backward")
                    .launch(
                            LaunchShape.grid(blocks(), steps(1), batch(), THREADS)
                                    .starting(LaunchShape.Start.EARLY),
                            PARAMETER_BYTES,
                            to -> write(to, ABSENT, gradY, all));
            int sums = Math.toIntExact(Math.ceilDiv(x.size(2) * (width() + 1L), (long) SUMS_PER_BLOCK));
            module(start.defined())
                    .kernel("causal_conv_sum_parameters")
                    .launch(
                            LaunchShape.of(sums, THREADS).starting(LaunchShape.Start.EARLY),
                            PARAMETER_BYTES,
                            to -> write(to, ABSENT, gradY, all));
            if (start.defined()) {
                start.copy_(all.before.transpose(1, 2));
            }
        }

        /** The fields of {@code ConvParams} in causal_conv.cu, in their order. */
        private void write(StructWriter to, Tensor y, Tensor gradY, Gradients g) {
            to.pointer(x)
                    .pointer(before)
                    .pointer(weight)
                    .pointer(bias)
                    .pointer(resets)
                    .pointer(y);
            to.pointer(gradY)
                    .pointer(g.x)
                    .pointer(g.weight)
                    .pointer(g.bias)
                    .pointer(g.before)
                    .pointer(g.partial);
            to.strides(x).strides(y).strides(gradY).strides(g.x);
            int rowsAligned = CudaOptions.aligned(x, y, gradY, g.x) ? 1 : 0;
            int weightAligned = weight.data_ptr().address() % VECTOR_BYTES == 0 ? 2 : 0;
            to.int64(x.size(1)).int32(Math.toIntExact(x.size(2)));
            to.int32(rowsAligned + weightAligned).int32(g.parts);
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
            int each = module(false).ints("causal_conv_geometry")[pass];
            return Math.toIntExact(Math.ceilDiv(x.size(1), (long) each));
        }

        private KernelModule module(boolean startGradient) {
            return KernelModule.load(
                    CudaConv.class,
                    "causal_conv.cu",
                    CudaOptions.of(x, resets)
                            .with("CONV_W", width())
                            .with("SILU", 1)
                            .with("START_GRADIENT", startGradient ? 1 : 0)
                            .list());
        }
    }

    /** Where the way back writes: {@code before} (B, K - 1, D) float32 if wanted, and {@code parts} shares of the sums. */
    private record Gradients(Tensor x, Tensor weight, Tensor bias, Tensor before, Tensor partial, int parts) {
        static final Gradients NONE = new Gradients(ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, 0);
    }
}
