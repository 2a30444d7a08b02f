package org.mamba4j.torch.nn;

import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import org.bytedeco.pytorch.Context;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.RecurrentConfig;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * What recurrent language models were before: embedding, layers of LSTM [1] or GRU [2] cells, head.
 *
 * <p>With x the layer's input, h what it put out at the token before, σ the logistic function and ⊙ a product number by
 * number:
 *
 * <pre>
 *   LSTM:  i, f, o = σ(W x + b + U h + b')   g = tanh(…)              c ← f ⊙ c + i ⊙ g   h ← o ⊙ tanh(c)
 *   GRU:   r, z    = σ(W x + b + U h + b')   n = tanh(W x + b + r ⊙ (U h + b'))   h ← (1 - z) ⊙ n + z ⊙ h
 * </pre>
 *
 * <p>The gates look at h, so a token must wait for the one before it: nothing can be computed for all tokens at once but
 * W x. That is what a selective scan gave up, whose gates look at x alone: the gate 1 - z of a GRU is its step size.
 * Layers are stacked as they are, or, so that many of them can be trained, as blocks x + cell(RMSNorm(x)).
 *
 * <p>The cells are libtorch's own, on a GPU cuDNN's, in float32; with bfloat16 activations products may round their
 * factors to TF32.
 *
 * <p>Shapes: B batch, L length, d width, G gates (4 or 3).
 *
 * <p>References: [1] S. Hochreiter, J. Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997, with the forget
 * gate of F. Gers et al., 2000. [2] K. Cho et al., arXiv 1406.1078, with the reset after the product, as cuDNN has it.
 */
public final class Recurrent extends LanguageNetwork {
    private static final boolean BIASED = true;
    private static final boolean ONE_DIRECTION = false;
    private static final boolean BATCH_FIRST = true;
    private static final double NO_DROPOUT = 0;

    private final RecurrentConfig config;

    /** All weights zero. */
    Recurrent(RecurrentConfig config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
    }

    @Override
    public RecurrentConfig config() {
        return config;
    }

    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        if (kernels().isCuda()) {
            // libtorch's own default rounds the factors here, though not in other products.
            Context context = torch.globalContext();
            context.setAllowTF32CuDNN(kernels().activations() != ScalarType.Float);
        }
        return oneAfterAnother(0, config.nLayer(), embedded, observer, (i, x) -> block(i, x, carry));
    }

    private Tensor block(int layer, Tensor x, Carry carry) {
        return config.residual()
                ? x.add(cells(layer, norm(x, "layers." + layer + ".norm.weight"), carry)) // (B, L, d)
                : cells(layer, x, carry);
    }

    /** One layer over all tokens at hand: (B, L, d) → (B, L, d). */
    private Tensor cells(int layer, Tensor x, Carry carry) {
        Tensor h = start(layer, "h", x, carry); // (1, B, d)
        TensorVector weights = weightsOf(layer);
        boolean training = GradMode.is_enabled();
        if (!config.isLstm()) {
            T_TensorTensor_T y = torch.gru(x, h, weights, BIASED, 1, NO_DROPOUT, training, ONE_DIRECTION, BATCH_FIRST);
            end(layer, "h", y.get1(), carry);
            return y.get0().contiguous();
        }
        TensorVector state = new TensorVector(h, start(layer, "c", x, carry));
        T_TensorTensorTensor_T y =
                torch.lstm(x, state, weights, BIASED, 1, NO_DROPOUT, training, ONE_DIRECTION, BATCH_FIRST);
        end(layer, "h", y.get1(), carry);
        end(layer, "c", y.get2(), carry);
        return y.get0().contiguous();
    }

    private Tensor start(int layer, String part, Tensor x, Carry carry) {
        Tensor before = carry.get(layer, part); // (B, d)
        return before.defined()
                ? before.unsqueeze(0)
                : Tensors.emptyLike(x, ScalarType.Float, 1, x.size(0), config.dModel())
                        .zero_();
    }

    /** @param after (1, B, d) */
    private static void end(int layer, String part, Tensor after, Carry carry) {
        if (carry.wantsState()) {
            carry.update(layer, part, after.squeeze(0));
        }
    }

    /**
     * W, U, b, b'. cuDNN wants them one after the other in memory, and says so at every call if they are not; a copy costs
     * little beside what is done with it, and needs no parameters that share memory.
     */
    private TensorVector weightsOf(int layer) {
        String name = "layers." + layer + ".";
        List<Tensor> all = List.of(
                weights().get(name + "weight_ih"), // (G · d, d)
                weights().get(name + "weight_hh"), // (G · d, d)
                weights().get(name + "bias_ih"), // (G · d)
                weights().get(name + "bias_hh")); // (G · d)
        if (!kernels().isCuda()) {
            return new TensorVector(all.toArray(Tensor[]::new));
        }
        TensorVector flat = new TensorVector();
        all.forEach(weight -> flat.push_back(weight.reshape(-1)));
        Tensor joined = torch.cat(flat, 0);
        TensorVector parts = new TensorVector();
        long from = 0;
        for (Tensor weight : all) {
            parts.push_back(joined.narrow(0, from, weight.numel()).view(weight.shape()));
            from += weight.numel();
        }
        return parts;
    }

    private Tensor norm(Tensor x, String name) {
        return rmsNorm(x, weights().get(name), config.normEpsilon());
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return config.residual() ? norm(x, "norm_f.weight") : x;
    }

    /** As libtorch draws them: cells and head uniform within 1 / √d; the embedding normal, norms 1. */
    @Override
    void fillInitially(long seed) {
        SplittableRandom seeds = new SplittableRandom(seed);
        for (Parameter parameter : weights().all()) {
            MambaInit.set(parameter, initially(parameter.name(), seeds.split()));
        }
    }

    private DoubleSupplier initially(String name, SplittableRandom random) {
        if (name.equals(config.embedding().name())) {
            return () -> random.nextGaussian() * config.initializerRange();
        }
        return name.contains("norm") ? () -> 1 : MambaInit.uniform(random, 1 / Math.sqrt(config.dModel()));
    }
}
