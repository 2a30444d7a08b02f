package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The layer between mixers that works on each token alone, gated [1]: fc2(y · silu(gate)) with y and gate the halves of fc1(x).
 *
 * <p>Reference: [1] N. Shazeer: GLU Variants Improve Transformer, arXiv 2002.05202.
 *
 * @param layer whose it is
 */
record GatedMlp(ComposedLayer layer) {
    /** (B, L, d) → (B, L, d). */
    Tensor forward(Tensor x) {
        TensorVector halves = layer.linear(x, "mlp.fc1").split(layer.config().dMlp(), 2); // 2 × (B, L, F)
        return layer.linear(halves.get(0).mul(torch.silu(halves.get(1))), "mlp.fc2"); // (B, L, d)
    }
}
