package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;

/**
 * A trained tensor of a model.
 *
 * @param name its name in checkpoints
 * @param tensor a float32 leaf that requires a gradient, contiguous; owned by the model
 * @param decays whether weight decay applies: to matrices and kernels, not to A_log, D, norms and biases, whose size has
 *     a meaning of its own
 */
public record Parameter(String name, Tensor tensor, boolean decays) {}
