package org.mamba4j.torch.kernel;

import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.Tensors;

/**
 * What a selective scan reads: B batch items, L steps, D channels, N states per channel, all float32. Absent optional
 * inputs are {@link Tensors#absent()}. The meaning is that of {@link org.mamba4j.kernel.ScanArguments}.
 *
 * @param u input (B, L, D)
 * @param delta step sizes (B, L, D), before bias and softplus
 * @param a state matrix (D, N), negative
 * @param b input matrix of each step (B, L, N)
 * @param c output matrix of each step (B, L, N)
 * @param d skip weight (D), optional
 * @param deltaBias added to delta (D), optional
 * @param z gate (B, L, D), optional
 * @param softplus whether delta (with its bias) goes through softplus
 * @param initialState state before the first step (B, D, N), optional
 */
public record ScanInputs(
        Tensor u,
        Tensor delta,
        Tensor a,
        Tensor b,
        Tensor c,
        Tensor d,
        Tensor deltaBias,
        Tensor z,
        boolean softplus,
        Tensor initialState) {
    private static final long ANY = -1;

    /** @throws IllegalArgumentException if a shape does not fit, naming the tensor and both shapes */
    public ScanInputs {
        Tensors.checkShape("u", u, ANY, ANY, ANY);
        long batch = u.size(0);
        long length = u.size(1);
        long channels = u.size(2);
        Tensors.checkShape("delta", delta, batch, length, channels);
        Tensors.checkShape("a", a, channels, ANY);
        long states = a.size(1);
        Tensors.checkShape("b", b, batch, length, states);
        Tensors.checkShape("c", c, batch, length, states);
        checkOptional("d", d, channels);
        checkOptional("deltaBias", deltaBias, channels);
        checkOptional("z", z, batch, length, channels);
        checkOptional("initialState", initialState, batch, channels, states);
    }

    /** The inputs that there must be; no softplus. */
    public static ScanInputs of(Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c) {
        Tensor none = Tensors.absent();
        return new ScanInputs(u, delta, a, b, c, none, none, none, false, none);
    }

    /** With a skip connection of weight {@code d} (D). */
    public ScanInputs withSkip(Tensor d) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState);
    }

    /** With {@code deltaBias} (D) added to delta. */
    public ScanInputs withDeltaBias(Tensor deltaBias) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState);
    }

    /** With the output multiplied by silu of {@code z} (B, L, D). */
    public ScanInputs withGate(Tensor z) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState);
    }

    /** With delta put through softplus, or not. */
    public ScanInputs withSoftplus(boolean softplus) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState);
    }

    /** From {@code initialState} (B, D, N) on; absent for zeros. */
    public ScanInputs from(Tensor initialState) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState);
    }

    /** Each tensor replaced by what {@code change} makes of it; absent ones are given too. */
    ScanInputs map(UnaryOperator<Tensor> change) {
        return new ScanInputs(
                change.apply(u),
                change.apply(delta),
                change.apply(a),
                change.apply(b),
                change.apply(c),
                change.apply(d),
                change.apply(deltaBias),
                change.apply(z),
                softplus,
                change.apply(initialState));
    }

    static void checkOptional(String what, Tensor tensor, long... shape) {
        if (tensor.defined()) {
            Tensors.checkShape(what, tensor, shape);
        }
    }
}
