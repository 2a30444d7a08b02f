package org.mamba4j.torch.nn;

import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.model.GptNeoxConfig;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * A Transformer of GPT-NeoX's kind [1], which Pythia [2] is: blocks x + attention(LayerNorm(x)) + mlp(LayerNorm'(x)), or
 * one after the other as in {@link Llama}.
 *
 * <p>In parallel, attention and mlp read the same x, so their products need not wait for each other. Positions turn the
 * first part of each head only. One matrix makes queries, keys and values, head by head: rows q, k, v of head 0, of head 1,
 * and so on.
 *
 * <p>Shapes: B batch, L length, T all tokens read, d model width, H heads, n width of a head, F width of the mlp.
 *
 * <p>References: [1] S. Black et al.: GPT-NeoX-20B, arXiv 2204.06745. [2] S. Biderman et al.: Pythia, arXiv 2304.01373.
 */
public final class GptNeox extends LanguageNetwork {
    private final GptNeoxConfig config;
    private final Attention attention;

    /** All weights zero. */
    GptNeox(GptNeoxConfig config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
        this.attention = new Attention(config.rope(), kernels, weights());
    }

    @Override
    public GptNeoxConfig config() {
        return config;
    }

    @Override
    void fillInitially(long seed) {
        NormalInit.fill(weights(), config.initializerRange(), seed);
    }

    @Override
    boolean looksBack() {
        return true;
    }

    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        Attention.Turns turns = attention.turns(carry.tokensSeen(), embedded.size(1));
        return oneAfterAnother(0, config.nLayer(), embedded, observer, (i, x) -> block(i, x, turns, carry));
    }

    private Tensor block(int layer, Tensor x, Attention.Turns turns, Carry carry) {
        String name = "gpt_neox.layers." + layer + ".";
        Tensor attended = x.add(attention(layer, norm(x, name + "input_layernorm"), turns, carry)); // (B, L, d)
        Tensor read = config.parallelResidual() ? x : attended; // (B, L, d)
        return attended.add(mlp(name + "mlp.", norm(read, name + "post_attention_layernorm"))); // (B, L, d)
    }

    private Tensor attention(int layer, Tensor x, Attention.Turns turns, Carry carry) {
        String name = "gpt_neox.layers." + layer + ".attention.";
        long n = config.headSize();
        Tensor heads = linear(x, name + "query_key_value") // (B, L, 3d)
                .view(x.size(0), x.size(1), config.nHeads(), 3 * n)
                .transpose(1, 2); // (B, H, L, 3n)
        Tensor q = attention.turn(heads.narrow(3, 0, n), turns); // (B, H, L, n)
        Tensor k = attention.turn(heads.narrow(3, n, n), turns); // (B, H, L, n)
        Tensor v = heads.narrow(3, 2 * n, n); // (B, H, L, n)
        Tensor keys = carry.append(layer, "key", k); // (B, H, T, n)
        Tensor values = carry.append(layer, "value", v); // (B, H, T, n)
        return linear(Attention.attend(q, keys, values), name + "dense"); // (B, L, d)
    }

    private Tensor mlp(String name, Tensor x) {
        Tensor wide = Activations.apply(config.activation(), linear(x, name + "dense_h_to_4h")); // (B, L, F)
        return linear(wide, name + "dense_4h_to_h"); // (B, L, d)
    }

    private Tensor linear(Tensor x, String name) {
        return kernels().linear(x, weights().get(name + ".weight"), weights().get(name + ".bias"));
    }

    private Tensor norm(Tensor x, String name) {
        return torch.layer_norm(
                x,
                new long[] {config.dModel()},
                new TensorOptional(weights().get(name + ".weight")),
                new TensorOptional(weights().get(name + ".bias")),
                config.normEpsilon(),
                true);
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return norm(x, "gpt_neox.final_layer_norm");
    }
}
