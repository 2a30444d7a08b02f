package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.Tensors;

/**
 * The scan of {@link DiagonalScan} with a real A, by a {@link SelectiveScan} of one state per channel: each of the D channels
 * becomes N, one for each of its states, into which the token is written already multiplied by B,
 *
 * <pre>  g(t, d, n) = exp(Δ(t, d) A(d, n)) g(t - 1, d, n) + Δ(t, d) · [B(d, n) u(t, d)],   y(t, d) = Σₙ C(d, n) g(t, d, n)  </pre>
 *
 * <p>so that B and C may be constant in each channel, which the fused kernels, whose B and C belong to the token, do not know.
 * It holds some (B, L, D, N) tensors, as long as they fit many times faster than {@link DiagonalScan}, which never holds more than a
 * segment of one: this one is for training on short windows, that one for texts of any length, complex A too.
 */
public final class ExpandedScan {
    private ExpandedScan() {}

    /**
     * The scan; every input has a gradient, the returned state has none.
     *
     * @param in of real modes, float32
     * @param scan with which it is computed
     * @return y (B, L, D) and, if {@code wantState}, the state after the last step (B, D, N)
     */
    public static SequenceOutput apply(DiagonalScan.Inputs in, SelectiveScan scan, boolean wantState) {
        if (in.frequency().defined()) {
            throw new IllegalArgumentException("A is complex");
        }
        long batch = in.u().size(0);
        long length = in.u().size(1);
        long channels = in.u().size(2);
        long states = in.rate().size(1);
        Tensor written = in.u().unsqueeze(3).mul(perState(in.b())); // (B, L, D, N)
        Tensor delta = in.delta().unsqueeze(3).expand(batch, length, channels, states); // (B, L, D, N)
        Tensor one = Tensors.emptyLike(in.u(), in.u().scalar_type().intern(), batch, length, 1)
                .fill_(new Scalar(1));
        ScanInputs inputs = ScanInputs.of(
                written.flatten(2, 3),
                delta.reshape(batch, length, channels * states),
                in.rate().reshape(-1, 1),
                one,
                one);
        SequenceOutput done = scan.apply(
                in.start().defined() ? inputs.from(in.start().reshape(batch, channels * states, 1)) : inputs,
                wantState);
        Tensor y = done.y().unflatten(2, channels, states).mul(perState(in.c())).sum(3); // (B, L, D)
        return new SequenceOutput(y, wantState ? done.lastState().reshape(batch, channels, states) : Tensors.absent());
    }

    /** (B, L, N) → (B, L, 1, N); (D, N) as it is. */
    private static Tensor perState(Tensor x) {
        return x.dim() == 3 ? x.unsqueeze(2) : x;
    }
}
