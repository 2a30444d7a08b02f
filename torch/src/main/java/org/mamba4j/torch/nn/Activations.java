package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The functions that {@code hidden_act} may name. */
final class Activations {
    private Activations() {}

    static Tensor apply(String name, Tensor x) {
        return switch (name) {
            case "silu" -> torch.silu(x);
            case "gelu" -> torch.gelu(x);
            case "gelu_pytorch_tanh", "gelu_new", "gelu_fast" ->
                torch.gelu(x, "tanh"); // the same, written in three ways
            case "relu" -> torch.relu(x);
            default -> throw new IllegalArgumentException("no activation " + name);
        };
    }
}
