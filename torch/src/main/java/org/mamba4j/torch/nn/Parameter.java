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
public record Parameter(String name, Tensor tensor, boolean decays) {
    private static final String STATE_SPACE = ".ssm.";
    private static final double STATE_SPACE_RATE = 1e-3;

    /**
     * Greatest learning rate, infinite for most. The numbers of a continuous system, S4's and S4D's, learn at {@value
     * #STATE_SPACE_RATE} at most, as their reference has it: a step that suits a matrix makes a time scale jump.
     */
    public double greatestRate() {
        return name.contains(STATE_SPACE) ? STATE_SPACE_RATE : Double.POSITIVE_INFINITY;
    }
}
