package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.Tensors;

/**
 * What a causal depthwise convolution followed by silu reads: B batch items, L steps, D channels, a kernel of K steps,
 * all float32. Absent optional inputs are {@link Tensors#absent()}.
 *
 * @param x input (B, L, D)
 * @param weight (D, 1, K), as checkpoints have it; the last column meets the current step
 * @param bias (D), optional
 * @param initialState the K - 1 inputs before the first step, oldest first (B, D, K - 1), optional: zeros
 */
public record ConvInputs(Tensor x, Tensor weight, Tensor bias, Tensor initialState) {
    private static final long ANY = -1;

    /** @throws IllegalArgumentException if a shape does not fit, naming the tensor and both shapes */
    public ConvInputs {
        Tensors.checkShape("x", x, ANY, ANY, ANY);
        long channels = x.size(2);
        Tensors.checkShape("weight", weight, channels, 1, ANY);
        ScanInputs.checkOptional("bias", bias, channels);
        ScanInputs.checkOptional("initialState", initialState, x.size(0), channels, weight.size(2) - 1);
    }
}
