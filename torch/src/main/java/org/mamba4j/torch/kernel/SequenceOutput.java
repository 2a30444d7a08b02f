package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Tensor;

/**
 * What a scan or a convolution returns.
 *
 * @param y (B, L, D), with a gradient
 * @param lastState what the next part of the sequence starts from, without a gradient; absent unless asked for
 */
public record SequenceOutput(Tensor y, Tensor lastState) {}
