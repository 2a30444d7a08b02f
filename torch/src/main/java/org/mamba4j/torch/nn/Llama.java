package org.mamba4j.torch.nn;

import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.model.LlamaConfig;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * A Transformer of Llama's kind [1], which the Mamba paper calls Transformer++: blocks x + attention(RMSNorm(x)), then
 * x + mlp(RMSNorm(x)).
 *
 * <p>Attention has {@link Positions}, rotary ones unless told otherwise, and, where there are fewer heads of keys and values than of queries, groups of queries
 * share one [2], so that less is kept per token; the layer between attentions is gated, SwiGLU [3]. What was read is kept
 * as keys and values: unlike a Mamba's, the state grows with the text, and so does the work of a token.
 *
 * <p>Shapes: B batch, L length, T all tokens read, d model width, H heads, K heads of keys and values, n width of a head, F
 * width of the gated layer.
 *
 * <p>References: [1] H. Touvron et al.: LLaMA, arXiv 2302.13971. [2] J. Ainslie et al.: GQA, arXiv 2305.13245. [3] N.
 * Shazeer: GLU Variants Improve Transformer, arXiv 2002.05202.
 */
public final class Llama extends LanguageNetwork {
    private final LlamaConfig config;
    private final Positions positions;

    /** All weights zero. */
    Llama(LlamaConfig config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
        this.positions = new Positions(config, kernels, weights());
    }

    @Override
    public LlamaConfig config() {
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
        Attention.Turns turns = positions.turns(carry.tokensSeen(), embedded.size(1));
        Tensor entered = positions.enter(embedded, carry.tokensSeen()); // (B, L, d)
        return oneAfterAnother(0, config.nLayer(), entered, observer, (i, x) -> block(i, x, turns, carry));
    }

    private Tensor block(int layer, Tensor x, Attention.Turns turns, Carry carry) {
        String name = "model.layers." + layer + ".";
        Tensor attended = x.add(attention(layer, norm(x, name + "input_layernorm"), turns, carry)); // (B, L, d)
        if (!config.hasMlp()) {
            return attended;
        }
        return attended.add(mlp(name + "mlp.", norm(attended, name + "post_attention_layernorm"))); // (B, L, d)
    }

    private Tensor attention(int layer, Tensor x, Attention.Turns turns, Carry carry) {
        String name = "model.layers." + layer + ".self_attn.";
        Tensor q = positions.turn(heads(linear(x, name + "q_proj"), config.nHeads()), turns); // (B, H, L, n)
        Tensor k = positions.turn(heads(linear(x, name + "k_proj"), config.nKvHeads()), turns); // (B, K, L, n)
        Tensor v = heads(linear(x, name + "v_proj"), config.nKvHeads()); // (B, K, L, n)
        Tensor keys = carry.append(layer, "key", k); // (B, K, T, n)
        Tensor values = carry.append(layer, "value", v); // (B, K, T, n)
        return linear(positions.attend(q, keys, values), name + "o_proj"); // (B, L, d)
    }

    /** (B, L, H · n) → (B, H, L, n). */
    private Tensor heads(Tensor x, int heads) {
        return x.view(x.size(0), x.size(1), heads, config.headSize()).transpose(1, 2);
    }

    private Tensor mlp(String name, Tensor x) {
        Tensor gate = Activations.apply(config.activation(), linear(x, name + "gate_proj")); // (B, L, F)
        return linear(gate.mul(linear(x, name + "up_proj")), name + "down_proj"); // (B, L, d)
    }

    private Tensor linear(Tensor x, String name) {
        return kernels().linear(x, weights().get(name + ".weight"), weights().get(name + ".bias"));
    }

    private Tensor norm(Tensor x, String name) {
        return rmsNorm(x, weights().get(name + ".weight"), config.normEpsilon());
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return norm(x, "model.norm");
    }
}
