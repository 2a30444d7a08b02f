package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.ComplexTensors;

/**
 * Discrete systems with a diagonal Ā, one per channel, in libtorch's operations: their kernels and {@link
 * LinearLayer.Response}s, float32 or float64, with gradients.
 *
 * <p>The kernel K(l) = Σ_m C_m B̄_m Ā_mˡ is a product with a Vandermonde matrix of M · L numbers. Here l = j P + p, so Āˡ =
 * Āʲᴾ Āᵖ and the kernel is a product of two matrices of M · √L numbers each: the same sums, without the memory.
 *
 * <p>Powers are taken as exp(l log Ā): of whichever branch the logarithm is, the power of an integer l is the same.
 *
 * <p>Shapes: D channels, M modes; N = M numbers of state per channel where the system is real, and 2 M where it is complex: then
 * every mode stands for its conjugate too, and sums over modes are 2 Re Σ.
 *
 * @param logDecay log Ā (D, M), complex
 * @param b B̄ (D, M), complex
 * @param c (D, M), complex
 * @param isComplex whether modes stand for their conjugates too; else all imaginary parts of Ā, B̄, C are zero
 */
record DiagonalSystem(Tensor logDecay, Tensor b, Tensor c, boolean isComplex) {
    private static final double TINY = 1e-30;

    /**
     * The discretisation of x' = A x + 1 u, y = C x.
     *
     * @param step Δ (D)
     * @param a (D, M), complex or real, with negative real part
     * @param c (D, M), of the same type
     * @param bilinear whether by the bilinear rule, else by zero-order hold
     */
    static DiagonalSystem of(Tensor step, Tensor a, Tensor c, boolean bilinear) {
        Tensor dt = step.unsqueeze(1); // (D, 1)
        Tensor z = ComplexTensors.of(a.mul(dt)); // (D, M)
        Scalar half = new Scalar(0.5);
        Scalar one = new Scalar(1.0);
        if (bilinear) {
            Tensor above = z.mul(half).add(one).add(new Scalar(TINY)); // a decay of exactly 0 has no logarithm
            Tensor below = z.mul(half).neg().add(one);
            return new DiagonalSystem(
                    above.div(below).log(), ComplexTensors.of(dt).div(below), ComplexTensors.of(c), a.is_complex());
        }
        Tensor b = z.expm1().div(ComplexTensors.of(a)); // (exp(ΔA) - 1) / A, exact for small Δ too
        return new DiagonalSystem(z, b, ComplexTensors.of(c), a.is_complex());
    }

    /** C Āˡ B̄ for l = 0 … {@code length} - 1: (D, length). */
    Tensor kernel(long length) {
        long columns = (long) Math.ceil(Math.sqrt((double) length)); // P
        long rows = Math.ceilDiv(length, columns); // J
        Tensor coarse = powers(columns, rows).mul(c.mul(b).unsqueeze(1)); // (D, J, M): C B̄ Āʲᴾ
        Tensor fine = powers(1, columns); // (D, P, M): Āᵖ
        Tensor all = readings(coarse).matmul(parts(fine).transpose(1, 2)); // (D, J, P)
        return all.flatten(1, 2).narrow(1, 0, length);
    }

    /** Ā^(stride · i) for i = 0 … {@code count} - 1: (D, count, M). */
    private Tensor powers(long stride, long count) {
        return powers(range(count).mul(new Scalar(stride)));
    }

    /** @param exponents (count) */
    private Tensor powers(Tensor exponents) {
        return logDecay.unsqueeze(1).mul(exponents.unsqueeze(1)).exp();
    }

    private Tensor range(long count) {
        return torch.arange(new Scalar(count), torch.real(logDecay.detach()).options());
    }

    /** Numbers of state of complex ones: (…, M) → (…, N). */
    private Tensor parts(Tensor x) {
        return isComplex ? ComplexTensors.toPairs(x) : torch.real(x);
    }

    /** How the numbers of state are weighted so that the sum is Re Σ, or 2 Re Σ, of {@code x} times the state: (…, M) → (…, N). */
    private Tensor readings(Tensor x) {
        return isComplex ? parts(x.conj()).mul(new Scalar(2.0)) : torch.real(x);
    }

    /** Of pieces of {@code length} steps. */
    LinearLayer.Response response(long length) {
        Tensor powers = powers(1, length + 1); // (D, P + 1, M)
        Tensor reach = parts(powers.narrow(1, 0, length).mul(b.unsqueeze(1))).transpose(1, 2); // (D, N, P)
        Tensor observe = readings(powers.narrow(1, 1, length).mul(c.unsqueeze(1))); // (D, P, N)
        Tensor kernel = readings(c.unsqueeze(1)).matmul(reach).squeeze(1); // (D, P)
        return new Pieces(powers, kernel, observe, reach, this);
    }

    private record Pieces(Tensor powers, Tensor kernel, Tensor observe, Tensor reach, DiagonalSystem system)
            implements LinearLayer.Response {
        @Override
        public Tensor advance(Tensor state, long steps) {
            Tensor power = powers.select(1, steps); // (D, M)
            if (!system.isComplex) {
                return state.mul(torch.real(power));
            }
            return ComplexTensors.toPairs(ComplexTensors.ofPairs(state).mul(power)); // (B, D, N)
        }
    }
}
