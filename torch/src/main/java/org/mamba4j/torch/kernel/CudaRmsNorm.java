package org.mamba4j.torch.kernel;

import static org.mamba4j.torch.kernel.GpuTensors.ACTIVATIONS;
import static org.mamba4j.torch.kernel.GpuTensors.FLOAT;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.cuda.KernelModule;
import org.mamba4j.torch.cuda.LaunchShape;
import org.mamba4j.torch.cuda.StructWriter;

/**
 * RMSNorm of a residual stream on an NVIDIA GPU, with the additions before it and after it ({@code cuda/rms_norm.cu}).
 * No automatic differentiation: forward and backward are called by hand, write into given tensors, allocate nothing and
 * wait for nothing, so that they can be captured as a CUDA graph. The same call gives the same bits.
 *
 * <p>Shapes: M rows, d width, 1 to 8,192. The residual stream and its gradient are float32, the normalised rows and
 * their gradient float32 or bfloat16. All tensors are contiguous and on the current device.
 *
 * @param weight (d) float32
 * @param epsilon added to the mean of squares
 */
public record CudaRmsNorm(Tensor weight, double epsilon) {
    /** Bytes of the kernels' {@code NormParams}: 12 pointers, a 64-bit and four 32-bit numbers. */
    private static final long PARAMETER_BYTES = 12 * 8 + 8 + 4 * 4;

    private static final int MAX_WIDTH = 8192;
    private static final int THREADS = 256;
    private static final int SUM_THREADS = 512;
    private static final int COLUMNS_PER_SUM = 32;
    private static final int BLOCKS_PER_MULTIPROCESSOR = 2;
    private static final Tensor ABSENT = Tensors.absent();

    public CudaRmsNorm {
        GpuTensors.require("norm weight", weight, FLOAT, -1);
        if (weight.size(0) < 1 || weight.size(0) > MAX_WIDTH) {
            throw new IllegalArgumentException("norm of width " + weight.size(0) + ": 1 to " + MAX_WIDTH + " wanted");
        }
    }

    /**
     * normed = x · scale · weight.
     *
     * @param x (M, d) float32
     * @param normed (M, d) is written
     * @param scale (M) float32 is written: 1 / √(mean x² + ε), which {@link #backward} wants
     */
    public void forward(Tensor x, Tensor normed, Tensor scale) {
        forward(x, ABSENT, ABSENT, normed, scale);
    }

    /**
     * sum = x + addend, normed = sum · scale · weight.
     *
     * @param x (M, d) float32
     * @param addend (M, d) float32 or bfloat16
     * @param sum (M, d) float32 is written; may be {@code x}
     * @param normed (M, d) is written
     * @param scale (M) float32 is written
     */
    public void forwardAdd(Tensor x, Tensor addend, Tensor sum, Tensor normed, Tensor scale) {
        GpuTensors.require("addend", addend, ACTIVATIONS, x.size(0), weight.size(0));
        GpuTensors.require("sum", sum, FLOAT, x.size(0), weight.size(0));
        forward(x, addend, sum, normed, scale);
    }

    private void forward(Tensor x, Tensor addend, Tensor sum, Tensor normed, Tensor scale) {
        GpuTensors.require("x", x, FLOAT, -1, weight.size(0));
        GpuTensors.require("normed", normed, ACTIVATIONS, x.size(0), weight.size(0));
        GpuTensors.require("scale", scale, FLOAT, x.size(0));
        if (x.size(0) == 0) {
            return;
        }
        KernelModule module = module(normed, addend, ABSENT, GpuTensors.beginAligned(x, addend, sum, normed, weight));
        int blocks = Math.toIntExact(Math.ceilDiv(x.size(0), (long) rows(module)));
        module.kernel("rms_norm_forward").launch(LaunchShape.of(blocks, THREADS), PARAMETER_BYTES, to -> {
            to.pointer(x)
                    .pointer(addend)
                    .pointer(weight)
                    .pointer(sum)
                    .pointer(normed)
                    .pointer(scale);
            to.absent().absent().absent().absent().absent().absent();
            sizes(to, x.size(0), 0, false);
        });
    }

    /**
     * What {@link #backward} writes.
     *
     * @param dResidual (M, d) float32: the gradient that reaches x past the norm; absent: none. Read only
     * @param dx (M, d) float32: the gradient of x; may be {@code dResidual}
     * @param dxCopy (M, d) float32 or bfloat16: dx once more, for the product that reads it next; absent: not wanted
     * @param dWeight (d) float32
     * @param addWeight whether dWeight is added to what is there
     * @param workspace from {@link #workspace}
     */
    public record Gradients(
            Tensor dResidual, Tensor dx, Tensor dxCopy, Tensor dWeight, boolean addWeight, Tensor workspace) {}

    /**
     * dx = dResidual + gradient through the norm; and the weight's gradient.
     *
     * @param dNormed (M, d) float32 or bfloat16
     * @param x (M, d) float32, what was normalised: with an addend, the sum
     * @param scale (M) from the forward pass
     */
    public void backward(Tensor dNormed, Tensor x, Tensor scale, Gradients gradients) {
        long width = weight.size(0);
        long count = x.size(0);
        GpuTensors.require("x", x, FLOAT, -1, width);
        GpuTensors.require("dNormed", dNormed, ACTIVATIONS, count, width);
        GpuTensors.require("scale", scale, FLOAT, count);
        GpuTensors.requireIfThere("dResidual", gradients.dResidual, FLOAT, count, width);
        GpuTensors.require("dx", gradients.dx, FLOAT, count, width);
        GpuTensors.requireIfThere("dxCopy", gradients.dxCopy, ACTIVATIONS, count, width);
        GpuTensors.require("dWeight", gradients.dWeight, FLOAT, width);
        GpuTensors.require("workspace", gradients.workspace, FLOAT, maxBlocks(), width);
        if (count == 0) {
            if (!gradients.addWeight) {
                gradients.dWeight.zero_();
            }
            return;
        }
        boolean wide = GpuTensors.beginAligned(
                dNormed, x, weight, gradients.dResidual, gradients.dx, gradients.dxCopy, gradients.workspace);
        KernelModule module = module(dNormed, ABSENT, gradients.dxCopy, wide);
        int parts = (int) Math.min(maxBlocks(), Math.ceilDiv(count, (long) rows(module)));
        module.kernel("rms_norm_backward")
                .launch(
                        LaunchShape.of(parts, THREADS),
                        PARAMETER_BYTES,
                        to -> write(to, dNormed, x, scale, gradients, parts));
        int sums = Math.toIntExact(Math.ceilDiv(width, (long) COLUMNS_PER_SUM));
        module.kernel("rms_norm_sum_weight")
                .launch(
                        LaunchShape.of(sums, SUM_THREADS),
                        PARAMETER_BYTES,
                        to -> write(to, dNormed, x, scale, gradients, parts));
    }

    /**
     * Memory for the parts of the weight's gradient, to be shared by all norms of a stream's width that run on one stream.
     *
     * @param like a tensor of the device
     */
    public static Tensor workspace(Tensor like, int width) {
        return Tensors.emptyLike(like, ScalarType.Float, maxBlocks(), width);
    }

    private static int maxBlocks() {
        return BLOCKS_PER_MULTIPROCESSOR * CudaOptions.multiprocessors();
    }

    /** The fields of {@code NormParams} in rms_norm.cu, in their order. */
    private void write(StructWriter to, Tensor dNormed, Tensor x, Tensor scale, Gradients gradients, int parts) {
        to.pointer(x).absent().pointer(weight).absent().absent().pointer(scale);
        to.pointer(dNormed).pointer(gradients.dResidual).pointer(gradients.dx).pointer(gradients.dxCopy);
        to.pointer(gradients.workspace).pointer(gradients.dWeight);
        sizes(to, x.size(0), parts, gradients.addWeight);
    }

    private void sizes(StructWriter to, long rows, int parts, boolean add) {
        to.int64(rows).float32((float) epsilon).int32(parts).int32(add ? 1 : 0).int32(0);
    }

    private static int rows(KernelModule module) {
        return module.ints("rms_norm_geometry")[0];
    }

    private KernelModule module(Tensor activations, Tensor addend, Tensor copy, boolean aligned) {
        int width = Math.toIntExact(weight.size(0));
        CudaOptions options = CudaOptions.of(activations)
                .with("WIDTH", width)
                .with("WIDE", aligned && width % 4 == 0 ? 1 : 0)
                .with("ADDEND", GpuTensors.typeCode(addend))
                .with("COPY", GpuTensors.typeCode(copy));
        return KernelModule.load(CudaRmsNorm.class, "rms_norm.cu", options.list());
    }
}
