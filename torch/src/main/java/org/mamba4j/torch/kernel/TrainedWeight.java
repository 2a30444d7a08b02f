package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.Tensors;

/**
 * A parameter as a hand-written backward pass sees it.
 *
 * @param value float32
 * @param compute the same in the type of the activations: {@code value} itself if that is float32, or if no matrix
 *     product uses it
 * @param gradient float32, to be filled
 */
public record TrainedWeight(Tensor value, Tensor compute, Tensor gradient) {
    /** A bias that the model does not have. */
    public static final TrainedWeight ABSENT = new TrainedWeight(Tensors.absent(), Tensors.absent(), Tensors.absent());

    /** Whether {@code compute} is a tensor of its own. */
    public boolean isCopied() {
        return value.defined()
                && compute.scalar_type().intern() != value.scalar_type().intern();
    }
}
