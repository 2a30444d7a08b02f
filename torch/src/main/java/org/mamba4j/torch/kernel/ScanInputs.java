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
 * @param resets nonzero where a document begins (B, L), uint8 or bool, optional: the state before such a step is
 *     nothing, whatever came before, the initial state included; it has no gradient
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
        Tensor initialState,
        Tensor resets) {
    private static final long ANY = -1;

    /** @throws IllegalArgumentException if a shape or the type of the resets does not fit, naming the tensor and both */
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
        Documents.check(resets, batch, length);
    }

    /** Of one document a sequence. */
    public ScanInputs(
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
        this(u, delta, a, b, c, d, deltaBias, z, softplus, initialState, Tensors.absent());
    }

    /** The inputs that there must be; no softplus. */
    public static ScanInputs of(Tensor u, Tensor delta, Tensor a, Tensor b, Tensor c) {
        Tensor none = Tensors.absent();
        return new ScanInputs(u, delta, a, b, c, none, none, none, false, none);
    }

    /** With a skip connection of weight {@code d} (D). */
    public ScanInputs withSkip(Tensor d) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState, resets);
    }

    /** With {@code deltaBias} (D) added to delta. */
    public ScanInputs withDeltaBias(Tensor deltaBias) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState, resets);
    }

    /** With the output multiplied by silu of {@code z} (B, L, D). */
    public ScanInputs withGate(Tensor z) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState, resets);
    }

    /** With delta put through softplus, or not. */
    public ScanInputs withSoftplus(boolean softplus) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState, resets);
    }

    /** From {@code initialState} (B, D, N) on; absent for zeros. */
    public ScanInputs from(Tensor initialState) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState, resets);
    }

    /** With documents that begin where {@code resets} (B, L) is nonzero; absent for one a sequence. */
    public ScanInputs withResets(Tensor resets) {
        return new ScanInputs(u, delta, a, b, c, d, deltaBias, z, softplus, initialState, resets);
    }

    /** The steps of {@code span} alone, as one document. */
    ScanInputs part(Documents.Span span) {
        return new ScanInputs(
                span.rows(u),
                span.rows(delta),
                a,
                span.rows(b),
                span.rows(c),
                d,
                deltaBias,
                span.rows(z),
                softplus,
                span.start(initialState));
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
                change.apply(initialState),
                change.apply(resets));
    }

    static void checkOptional(String what, Tensor tensor, long... shape) {
        if (tensor.defined()) {
            Tensors.checkShape(what, tensor, shape);
        }
    }
}
