package org.mamba4j.torch.train;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.data.Batch;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LanguageNetwork;

/** A batch as tensors (B, L) on the CPU; a network moves them to where it computes. */
final class BatchTensors {
    private BatchTensors() {}

    static Tensor inputs(Batch batch) {
        return Tensors.ofTokens(batch.inputs(), 0, batch.rows(), batch.length());
    }

    static Tensor targets(Batch batch) {
        return Tensors.ofTokens(batch.targets(), 0, batch.rows(), batch.length());
    }

    static Tensor weights(Batch batch) {
        return Tensors.of(batch.weights(), batch.rows(), batch.length());
    }

    /** How many positions there are from the first one on that has a weight in some row, at least 1. */
    static int wanted(Batch batch) {
        int first = batch.length() - 1;
        for (int i = 0; i < batch.weights().length; i++) {
            if (batch.weights()[i] != 0) {
                first = Math.min(first, i % batch.length());
            }
        }
        return batch.length() - first;
    }

    /** Mean or weighted sum of the cross entropy, nats. */
    static Tensor loss(LanguageNetwork network, Batch batch) {
        return batch.isWeighted()
                ? network.loss(inputs(batch), targets(batch), weights(batch))
                : network.loss(inputs(batch), targets(batch));
    }
}
