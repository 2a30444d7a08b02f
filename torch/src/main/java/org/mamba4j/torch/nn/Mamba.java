package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Torch;
import org.mamba4j.torch.kernel.ConvInputs;
import org.mamba4j.torch.kernel.MambaKernels;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequenceOutput;

/**
 * The Mamba language model [1] as a training graph: embedding, blocks x + mixer(RMSNorm(x)), RMSNorm, head.
 *
 * <p>A mixer looks at the sequence twice: a causal convolution over the last few steps, then the selective scan, a
 * recurrence with N numbers of state per channel whose step size and in- and output matrices are computed from the token
 * itself. Both come in a fused and in a composed form, see {@link MambaKernels}; all else is libtorch's.
 *
 * <p>Shapes: B batch, L length, d model width, D = expand · d channels, N states per channel, R rank of the time step
 * projection, K width of the convolution, V vocabulary. Everything is float32 and channel-last, so {@code
 * residual_in_fp32} holds by itself.
 *
 * <p>The parameters live outside of every scope until {@link #close}. All tensors that methods return belong to the
 * caller's {@link TensorScope}. Not to be changed and used at once from two threads; forward passes alone may run in any
 * number.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752.
 */
public final class Mamba implements AutoCloseable {
    private final MambaConfig config;
    private final MambaKernels kernels;
    private final Parameters parameters;
    private final List<Block> blocks = new ArrayList<>();

    private Mamba(MambaConfig config, MambaKernels kernels) {
        this.config = config;
        this.kernels = kernels;
        this.parameters = new Parameters(config.parameters());
        for (int i = 0; i < config.nLayer(); i++) {
            blocks.add(new Block(i));
        }
    }

    /**
     * A new model with the reference's initial values.
     *
     * @param seed what they are drawn from; the same seed gives the same model
     */
    public static Mamba create(MambaConfig config, MambaKernels kernels, long seed) {
        Mamba model = new Mamba(config, kernels);
        new MambaInit(config).fill(model.parameters, seed);
        return model;
    }

    /** The configuration that it was made for. */
    public MambaConfig config() {
        return config;
    }

    /** All trained tensors, in the order of the forward pass. */
    public Collection<Parameter> parameters() {
        return parameters.all();
    }

    /** How many numbers are trained; a tied head counts once. */
    public long parameterCount() {
        return parameters.count();
    }

    /**
     * Logits of the token after each one.
     *
     * @param ids (B, L) int64 in [0, V)
     * @return (B, L, V)
     */
    public Tensor forward(Tensor ids) {
        return checked(() -> logits(hidden(ids, Carry.NONE, each -> {})));
    }

    /**
     * The residual stream after each block, and last the normalised output that the head reads: nLayer + 1 tensors (B, L,
     * d), as {@code output_hidden_states} of Hugging Face transformers 5 gives them.
     *
     * @param ids (B, L) int64 in [0, V)
     */
    public List<Tensor> hiddenStates(Tensor ids) {
        List<Tensor> all = new ArrayList<>();
        return checked(() -> {
            all.add(hidden(ids, Carry.NONE, all::add));
            return all;
        });
    }

    /**
     * Mean cross entropy in nats over all positions.
     *
     * @param ids (B, L) int64 in [0, V)
     * @param targets the token after each one (B, L) int64; -100 leaves a position out
     * @return a scalar
     */
    public Tensor loss(Tensor ids, Tensor targets) {
        return checked(() -> {
            Tensor logits = forward(ids).view(-1, config.vocabSize()); // (B·L, V)
            return torch.cross_entropy_loss(logits, targets.reshape(-1));
        });
    }

    /**
     * Weighted mean of the cross entropy in nats.
     *
     * @param ids (B, L) int64 in [0, V)
     * @param targets the token after each one (B, L) int64
     * @param weights of each position (B, L) float32, not all 0
     * @return a scalar: Σ weight · cross entropy / Σ weight
     */
    public Tensor loss(Tensor ids, Tensor targets, Tensor weights) {
        return checked(() -> {
            Tensor logits = forward(ids).view(-1, config.vocabSize()); // (B·L, V)
            Tensor each = torch.cross_entropy_loss(
                    logits, targets.reshape(-1), new TensorOptional(), REDUCTION_NONE, IGNORE_INDEX, 0.0); // (B·L)
            return each.mul(weights.reshape(-1)).sum().div(weights.sum());
        });
    }

    private static final long REDUCTION_NONE = 0;
    private static final long IGNORE_INDEX = -100;

    /**
     * The whole model but its head.
     *
     * @param ids (B, L)
     * @param carry where the sequence starts, and who wants to know where it ends
     * @param observer is shown the residual stream (B, L, d) after each block
     * @return what the head reads (B, L, d)
     */
    Tensor hidden(Tensor ids, Carry carry, Consumer<Tensor> observer) {
        Tensor x = torch.embedding(parameters.get("backbone.embeddings.weight"), ids); // (B, L, d)
        for (Block block : blocks) {
            try (TensorScope layer = TensorScope.temporaries()) {
                x = layer.promote(block.forward(x, carry)); // (B, L, d)
            }
            observer.accept(x);
        }
        return norm(x, parameters.get("backbone.norm_f.weight"));
    }

    /** The head: (B, L, d) → (B, L, V). */
    Tensor logits(Tensor hidden) {
        String head = config.tieEmbeddings() ? "backbone.embeddings.weight" : "lm_head.weight";
        return torch.linear(hidden, parameters.get(head));
    }

    /** One block: x + mixer(RMSNorm(x)). */
    private final class Block {
        private final int layer;
        private final Tensor norm; // (d)
        private final Tensor inProj; // (2D, d)
        private final Tensor inProjBias; // (2D) or absent
        private final Tensor convWeight; // (D, 1, K)
        private final Tensor convBias; // (D) or absent
        private final Tensor xProj; // (R + 2N, D)
        private final Tensor dtProj; // (D, R)
        private final Tensor dtProjBias; // (D)
        private final Tensor aLog; // (D, N)
        private final Tensor d; // (D)
        private final Tensor outProj; // (d, D)
        private final Tensor outProjBias; // (d) or absent

        Block(int layer) {
            String name = "backbone.layers." + layer + ".";
            this.layer = layer;
            norm = parameters.get(name + "norm.weight");
            inProj = parameters.get(name + "mixer.in_proj.weight");
            inProjBias = parameters.get(name + "mixer.in_proj.bias");
            convWeight = parameters.get(name + "mixer.conv1d.weight");
            convBias = parameters.get(name + "mixer.conv1d.bias");
            xProj = parameters.get(name + "mixer.x_proj.weight");
            dtProj = parameters.get(name + "mixer.dt_proj.weight");
            dtProjBias = parameters.get(name + "mixer.dt_proj.bias");
            aLog = parameters.get(name + "mixer.A_log");
            d = parameters.get(name + "mixer.D");
            outProj = parameters.get(name + "mixer.out_proj.weight");
            outProjBias = parameters.get(name + "mixer.out_proj.bias");
        }

        Tensor forward(Tensor x, Carry carry) {
            return x.add(mixer(norm(x, norm), carry)); // (B, L, d)
        }

        private Tensor mixer(Tensor x, Carry carry) {
            TensorVector halves = linear(x, inProj, inProjBias).split(config.dInner(), 2); // 2 × (B, L, D)
            Tensor z = halves.get(1); // (B, L, D)

            SequenceOutput conv = kernels.conv()
                    .apply(new ConvInputs(halves.get(0), convWeight, convBias, carry.conv(layer)), carry.wantsState());
            Tensor u = conv.y(); // (B, L, D)

            TensorVector selection = torch.linear(u, xProj) // (B, L, R + 2N)
                    .split(new long[] {config.dtRank(), config.dState(), config.dState()}, 2);
            Tensor delta = torch.linear(selection.get(0), dtProj); // (B, L, D)
            Tensor b = selection.get(1); // (B, L, N)
            Tensor c = selection.get(2); // (B, L, N)
            Tensor a = aLog.exp().neg(); // (D, N)

            SequenceOutput scan = kernels.scan()
                    .apply(
                            ScanInputs.of(u, delta, a, b, c)
                                    .withDeltaBias(dtProjBias)
                                    .withSoftplus(true)
                                    .withSkip(d)
                                    .withGate(z)
                                    .from(carry.ssm(layer)),
                            carry.wantsState());
            carry.update(layer, conv.lastState(), scan.lastState());
            return linear(scan.y(), outProj, outProjBias); // (B, L, d)
        }
    }

    private Tensor norm(Tensor x, Tensor weight) {
        return torch.rms_norm(
                x, new long[] {config.dModel()}, new TensorOptional(weight), new DoubleOptional(config.normEpsilon()));
    }

    private static Tensor linear(Tensor x, Tensor weight, Tensor bias) {
        return bias.defined() ? torch.linear(x, weight, new TensorOptional(bias)) : torch.linear(x, weight);
    }

    private static <T> T checked(Supplier<T> computation) {
        try {
            return computation.get();
        } catch (RuntimeException e) {
            throw Torch.translate("mamba forward", e);
        }
    }

    /** Frees the parameters and their gradients. */
    @Override
    public void close() {
        parameters.close();
    }
}
