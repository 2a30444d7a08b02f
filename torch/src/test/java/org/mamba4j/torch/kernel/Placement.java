package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.kernel.Comparison;
import org.mamba4j.kernel.ExactSums;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.Tensors;

/**
 * Where an operation is tested and with activations of what type: arrays to tensors there, and how near the results must
 * be on a GPU.
 *
 * @param device as {@link Devices#of} has it
 * @param type of activations; parameters and states are float32
 */
record Placement(String device, ScalarType type) {
    private static final double FORWARD_RTOL = 6e-4;
    private static final double FORWARD_ATOL = 2e-3;
    private static final double BF16_RTOL = 3e-2;
    private static final double BF16_ATOL = 5e-2;
    private static final double GRADIENT_FACTOR = 5;

    /** How rows of activations lie. */
    enum Layout {
        DENSE,
        /** Columns of a wider tensor, at multiples of 16 bytes where the width allows. */
        COLUMNS,
        /** Columns of a wider tensor, at odd addresses. */
        ODD_COLUMNS;

        /** Another one for neighbouring lengths, so that a grid of sizes meets all. */
        static Layout of(int length) {
            return values()[length % 3];
        }
    }

    boolean isOnGpu() {
        return !device.equals("cpu");
    }

    /** {@code values} as the type holds them. */
    float[] round(float[] values) {
        if (type == ScalarType.Float) {
            return values;
        }
        return Placement.floats(Tensors.of(values, values.length).to(type));
    }

    /** Activations (B, L, C) surrounded by what must not be read. */
    Tensor rows(float[] values, Layout layout, long batch, long length, long columns) {
        Tensor dense =
                Tensors.on(device, Tensors.of(values, batch, length, columns)).to(type);
        if (layout == Layout.DENSE) {
            return dense.detach();
        }
        long left = layout == Layout.COLUMNS ? 8 : 3;
        long right = layout == Layout.COLUMNS ? 16 : 2;
        Tensor wide = Tensors.emptyLike(dense, type, batch, length, left + columns + right);
        wide.fill_(new Scalar(Float.NaN));
        Tensor rows = wide.narrow(2, left, columns);
        rows.copy_(dense);
        return rows.detach();
    }

    Tensor parameter(float[] values, long... shape) {
        return Tensors.on(device, Tensors.of(values, shape)).detach();
    }

    /** Absent where there are no values, but for shapes that have none. */
    Tensor optional(float[] values, long... shape) {
        return values.length == 0 ? Tensors.absent() : parameter(values, shape);
    }

    /** Flags (B, L) as uint8; absent where there are none. */
    Tensor flags(boolean[] values, long batch, long length) {
        if (values.length == 0) {
            return Tensors.absent();
        }
        Tensor flags = Tensors.empty(ScalarType.Byte, batch, length);
        MemorySegment memory = Tensors.segment(flags);
        for (int i = 0; i < values.length; i++) {
            memory.set(ValueLayout.JAVA_BYTE, i, (byte) (values[i] ? 1 + i % 255 : 0));
        }
        return Tensors.on(device, flags);
    }

    /** The values as float32; none of what is absent. */
    static float[] floats(Tensor tensor) {
        return tensor.defined() ? Tensors.toFloats(tensor.to(ScalarType.Float)) : new float[0];
    }

    /** How results that were computed here are held to what is right. */
    Comparison comparison() {
        return isOnGpu() ? this::compare : Comparison.USUAL;
    }

    /** Asserts the accuracy that the CUDA kernels are held to. */
    private void compare(String what, String name, float[] actual, ExactSums sums) {
        double[] expected = sums.values();
        assertThat(actual).as(what).hasSize(expected.length);
        boolean gradient = name.startsWith("grad ");
        boolean bf16 = type == ScalarType.BFloat16;
        double factor = gradient ? GRADIENT_FACTOR : 1;
        double rtol = factor * (bf16 ? BF16_RTOL : FORWARD_RTOL);
        // Gradients of parameters are sums over all steps: their error grows with the sum's size.
        double atol = factor * (bf16 ? BF16_ATOL : FORWARD_ATOL) * (gradient ? Math.max(1, rms(expected)) : 1);
        for (int i = 0; i < expected.length; i++) {
            // Written so that NaN fails.
            if (!(Math.abs(expected[i] - actual[i]) <= atol + rtol * Math.abs(expected[i]))) {
                throw new AssertionError(
                        what + "[" + i + "] in " + type + " is " + actual[i] + ", expected " + expected[i]);
            }
        }
    }

    /** Asserts the same of two tensors where they are. */
    void compareForward(String what, Tensor actual, Tensor expected) {
        double rtol = type == ScalarType.BFloat16 ? BF16_RTOL : FORWARD_RTOL;
        double atol = type == ScalarType.BFloat16 ? BF16_ATOL : FORWARD_ATOL;
        assertThat(torch.allclose(actual, expected, rtol, atol, false)).as(what).isTrue();
    }

    private static double rms(double... values) {
        double sum = 0;
        for (double value : values) {
            sum += value * value;
        }
        return Math.sqrt(sum / Math.max(1, values.length));
    }
}
