package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.mamba4j.UserError;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequenceOutput;

/**
 * S6, the selective state space [1, section 3.2]: h ← exp(ΔA) h + ΔB u, y = C h + D u, where time steps Δ, B and C are
 * computed from the token itself, or some of them: the rest is constant.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752.
 */
final class S6Layer implements InnerLayer {
    private final ComposedLayer layer;
    private final ComposedConfig config;

    S6Layer(ComposedLayer layer) {
        this.layer = layer;
        this.config = layer.config();
        if (config.isComplex() || !config.isBSelective() || !config.isCSelective()) {
            throw new UserError("inner_layer s6 with a_init " + config.aInit() + " and selective " + config.selective()
                    + " cannot be computed yet");
        }
    }

    @Override
    public Tensor forward(Tensor u, Carry carry) {
        return gated(u, Tensors.absent(), carry);
    }

    @Override
    public Tensor gated(Tensor u, Tensor z, Carry carry) {
        Selection selection = select(u);
        ScanInputs inputs = ScanInputs.of(
                        u, selection.delta(), layer.weight("mixer.A_log").exp().neg(), selection.b(), selection.c())
                .withDeltaBias(layer.weight("mixer.dt_proj.bias"))
                .withSoftplus(true)
                .withSkip(layer.weight("mixer.D"))
                .withGate(z)
                .from(carry.ssm(layer.index()));
        SequenceOutput scan = layer.kernels().scan().apply(inputs, carry.wantsState());
        if (carry.wantsState()) {
            carry.update(layer.index(), "ssm", scan.lastState());
        }
        return scan.y();
    }

    /**
     * What is computed from the token itself.
     *
     * @param delta steps before bias and softplus (B, L, D)
     * @param b how the input enters the state (B, L, N)
     * @param c how the state is read (B, L, N)
     */
    private record Selection(Tensor delta, Tensor b, Tensor c) {}

    private Selection select(Tensor u) {
        long rank = config.isDeltaSelective() ? config.dtRank() : 0;
        TensorVector parts = layer.linear(u, "mixer.x_proj") // (B, L, R + 2N)
                .split(new long[] {rank, config.dState(), config.dState()}, 2);
        Tensor delta = config.isDeltaSelective()
                ? layer.kernels().linear(parts.get(0), layer.weight("mixer.dt_proj.weight"), Tensors.absent())
                : Tensors.emptyLike(u).zero_(); // (B, L, D)
        return new Selection(delta, parts.get(1), parts.get(2));
    }
}
