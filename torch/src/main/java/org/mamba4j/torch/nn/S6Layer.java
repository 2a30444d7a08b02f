package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.LayerParts;
import org.mamba4j.torch.ComplexTensors;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.DiagonalScan;
import org.mamba4j.torch.kernel.ExpandedScan;
import org.mamba4j.torch.kernel.ScanInputs;
import org.mamba4j.torch.kernel.SequenceOutput;

/**
 * S6, the selective state space [1, section 3.2]: h ← exp(ΔA) h + ΔB u, y = C h + D u, where time steps Δ, B and C are
 * computed from the token itself, or some of them: the rest is constant, Δ in each channel, B and C in each channel and state.
 *
 * <p>With a real A and both B and C selective it runs on the fused scan of Mamba; all other kinds on {@link DiagonalScan}, or, while a real one is
 * trained where that one has no kernels of its own, on {@link ExpandedScan}. A complex A
 * has N / 2 modes, each with its conjugate, and B and C are complex with it: as many numbers as the real one.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba, arXiv 2312.00752.
 */
final class S6Layer implements InnerLayer {
    private final ComposedLayer layer;
    private final LayerParts parts;
    private final boolean fused;

    S6Layer(ComposedLayer layer) {
        this.layer = layer;
        this.parts = layer.parts();
        this.fused = !parts.isComplex() && parts.isBSelective() && parts.isCSelective();
    }

    @Override
    public Tensor forward(Tensor u, Carry carry) {
        return fused ? fused(u, Tensors.absent(), carry) : composed(u, carry);
    }

    @Override
    public Tensor gated(Tensor u, Tensor z, Carry carry) {
        return fused ? fused(u, z, carry) : InnerLayer.super.gated(u, z, carry);
    }

    private Tensor fused(Tensor u, Tensor z, Carry carry) {
        Selection selection = select(u);
        ScanInputs inputs = ScanInputs.of(u, selection.delta(), rate(), selection.b(), selection.c())
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

    private Tensor composed(Tensor u, Carry carry) {
        Selection selection = select(u);
        Tensor exact = u.to(ScalarType.Float); // (B, L, D)
        Tensor delta = torch.softplus(selection.delta().to(ScalarType.Float).add(layer.weight("mixer.dt_proj.bias")));
        DiagonalScan.Inputs inputs = new DiagonalScan.Inputs(
                exact,
                delta,
                rate(),
                layer.weight("mixer.A_imag"),
                selection.b().to(ScalarType.Float),
                selection.c().to(ScalarType.Float),
                carry.get(layer.index(), "ssm"));
        SequenceOutput scan = GradMode.is_enabled() && !parts.isComplex() && !DiagonalScan.isFused(inputs)
                ? ExpandedScan.apply(inputs, layer.kernels().scan(), carry.wantsState())
                : DiagonalScan.apply(inputs);
        if (carry.wantsState()) {
            carry.update(layer.index(), "ssm", scan.lastState());
        }
        return layer.kernels().activation(scan.y().add(exact.mul(layer.weight("mixer.D"))));
    }

    @Override
    public LayerView view(Tensor u) {
        Selection selection = select(u);
        Tensor delta = torch.softplus(selection.delta().to(ScalarType.Float).add(layer.weight("mixer.dt_proj.bias")));
        Tensor rate = rate();
        LayerView.Recurrence recurrence = new LayerView.Recurrence(
                delta.select(0, 0),
                matrix(selection.b()),
                matrix(selection.c()),
                parts.isComplex() ? ComplexTensors.of(rate, layer.weight("mixer.A_imag")) : rate);
        boolean selects = parts.isDeltaSelective() || parts.isBSelective() || parts.isCSelective();
        return selects ? recurrence : LayerView.ofConstant(recurrence, u.size(1));
    }

    /** (1, L, N) → (L, 1, M), (D, N) → (1, D, M). */
    private Tensor matrix(Tensor x) {
        Tensor ofToken = x.dim() == 3 ? x.select(0, 0).unsqueeze(1) : x.unsqueeze(0);
        Tensor exact = ofToken.to(ScalarType.Float);
        return parts.isComplex() ? ComplexTensors.ofPairs(exact) : exact;
    }

    /** Real part of A (D, M). */
    private Tensor rate() {
        return layer.weight("mixer.A_log").exp().neg();
    }

    /**
     * What the scan works on beside its input.
     *
     * @param delta steps before bias and softplus (B, L, D)
     * @param b how the input enters the state: of the token (B, L, N) or constant (D, N)
     * @param c how the state is read, likewise
     */
    private record Selection(Tensor delta, Tensor b, Tensor c) {}

    private Selection select(Tensor u) {
        long rank = parts.isDeltaSelective() ? layer.config().dtRank() : 0;
        long bs = parts.isBSelective() ? parts.dState() : 0;
        long cs = parts.isCSelective() ? parts.dState() : 0;
        Tensor none = Tensors.emptyLike(u).zero_(); // (B, L, D)
        if (rank + bs + cs == 0) {
            return new Selection(none, layer.weight("mixer.B"), layer.weight("mixer.C"));
        }
        TensorVector parts = layer.linear(u, "mixer.x_proj") // (B, L, R + N + N) or some of these
                .split(new long[] {rank, bs, cs}, 2);
        Tensor delta = rank > 0
                ? layer.kernels().linear(parts.get(0), layer.weight("mixer.dt_proj.weight"), Tensors.absent())
                : none; // (B, L, D)
        return new Selection(
                delta,
                bs > 0 ? parts.get(1) : layer.weight("mixer.B"),
                cs > 0 ? parts.get(2) : layer.weight("mixer.C"));
    }
}
