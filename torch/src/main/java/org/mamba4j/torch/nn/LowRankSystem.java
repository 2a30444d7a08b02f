package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.StringViewOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.ComplexTensors;

/**
 * Systems with A = Λ - P P*, diagonal plus low rank, one per channel, by the bilinear rule, in libtorch's operations, float32
 * or float64, with gradients [1, section 3].
 *
 * <p>The kernel K(l) = C Āˡ B̄ of L steps comes from its transform at the L-th roots of unity z, where the sum over l is a geometric
 * series: Σ_l K(l) zˡ = C (1 - Āᴸ)(1 - Ā z)⁻¹ B̄, as zᴸ = 1. What is stored is not C but C̃ = C (1 - Āᴸ), so no power of Ā is needed.
 * With the bilinear rule (1 - Āz)⁻¹B̄ = (s - w A)⁻¹ B, where s = (1 - z) / Δ and w = (1 + z) / 2; and the inverse of a diagonal plus rank
 * one is Woodbury's: with k(v) = Σ_n v_n / (s - w λ_n), a Cauchy sum,
 *
 * <pre>
 * transform(z) = k(C̃ B) - w k(C̃ P) k(P* B) / (1 + w k(P* P))
 * </pre>
 *
 * <p>A mode and its conjugate together are v/(s - wλ) + v̄/(s - wλ̄) = (2 s Re v - 2 w Re(v λ̄)) / (s² - 2 s w Re λ + w² |λ|²): the four sums share
 * the denominators, one matrix of M · L / 2 complex numbers, and are products with it.
 *
 * <p>The recurrence works on dense matrices: of the real system of N = 2 M numbers that the modes and their conjugates are.
 *
 * <p>Shapes: D channels, M modes, N = 2 M numbers of state, real and imaginary parts in turn, F = L / 2 + 1 frequencies.
 *
 * <p>Reference: [1] A. Gu, K. Goel, C. Ré: Efficiently Modeling Long Sequences with Structured State Spaces, arXiv 2111.00396.
 *
 * @param step Δ (D)
 * @param lambda Λ (D, M), complex, with negative real parts
 * @param p P (D, M), complex
 * @param b B (D, M), complex
 * @param c C̃ (D, M), complex
 * @param length L
 */
record LowRankSystem(Tensor step, Tensor lambda, Tensor p, Tensor b, Tensor c, long length) {
    /** C Āˡ B̄ for l = 0 … L - 1: (D, L). */
    Tensor kernel() {
        Nodes nodes = nodes();
        Tensor w = nodes.w(); // (F)
        Tensor s = nodes.difference().div(step.unsqueeze(1)); // (D, F)
        Tensor v = torch.stack(
                new TensorVector(c.mul(b), c.mul(p), p.conj().mul(b), p.conj().mul(p)), 1); // (D, 4, M)
        Scalar two = new Scalar(2.0);
        Tensor direct = torch.real(v).mul(two); // (D, 4, M)
        Tensor crossed = torch.real(v.mul(lambda.conj().unsqueeze(1))).mul(two); // (D, 4, M)
        Tensor sums = torch.cat(new TensorVector(direct, crossed), 1)
                .matmul(ComplexTensors.toPairs(denominators(s, w).reciprocal())); // (D, 8, 2 F)
        Tensor complex = ComplexTensors.ofPairs(sums); // (D, 8, F)
        Tensor k = complex.narrow(1, 0, 4)
                .mul(s.unsqueeze(1))
                .sub(complex.narrow(1, 4, 4).mul(w)); // (D, 4, F)
        Tensor correction = w.mul(k.select(1, 1))
                .mul(k.select(1, 2))
                .div(w.mul(k.select(1, 3)).add(new Scalar(1.0))); // (D, F)
        Tensor transform = k.select(1, 0).sub(correction); // (D, F)
        return torch.fft_irfft(transform, new LongOptional(length), -1, new StringViewOptional());
    }

    /** s² - 2 s w Re λ + w² |λ|²: (D, M, F). */
    private Tensor denominators(Tensor s, Tensor w) {
        Tensor rate = torch.real(lambda).unsqueeze(2); // (D, M, 1)
        Tensor square = torch.real(lambda.mul(lambda.conj())).unsqueeze(2); // (D, M, 1)
        Tensor around = s.unsqueeze(1); // (D, 1, F)
        return around.mul(around)
                .sub(around.mul(w).mul(rate).mul(new Scalar(2.0)))
                .add(w.mul(w).mul(square));
    }

    /**
     * What depends on the roots of unity z alone.
     *
     * @param difference 1 - z (F)
     * @param w (1 + z) / 2 (F)
     */
    private record Nodes(Tensor difference, Tensor w) {}

    private Nodes nodes() {
        Tensor half = torch.arange(
                        new Scalar(length / 2 + 1), torch.real(lambda.detach()).options())
                .mul(new Scalar(Math.PI / length)); // (F): half the angle of z = exp(-iθ)
        Tensor sine = half.sin();
        Tensor cosine = half.cos();
        Tensor both = sine.mul(cosine); // sin(θ) / 2; and 1 - cos(θ) = 2 sin²(θ / 2), without cancellation
        Scalar two = new Scalar(2.0);
        return new Nodes(
                ComplexTensors.of(sine.mul(sine).mul(two), both.mul(two)),
                ComplexTensors.of(cosine.mul(cosine), both.neg()));
    }

    /**
     * The discrete system, dense.
     *
     * @param a Ā (D, N, N)
     * @param b B̄ (D, N, 1)
     * @param c C, not C̃ (D, 1, N)
     */
    record Dense(Tensor a, Tensor b, Tensor c) {}

    /** In float64: what is computed from it is a power of Ā, and a solution with it. */
    Dense dense() {
        Tensor low = exact(p).unsqueeze(2); // (D, N, 1)
        Tensor a = rotations().sub(low.matmul(low.transpose(1, 2)).mul(new Scalar(2.0))); // (D, N, N)
        Tensor dt = step.to(ScalarType.Double).unsqueeze(1).unsqueeze(2); // (D, 1, 1)
        Tensor half = a.mul(dt).mul(new Scalar(0.5)); // (D, N, N)
        Tensor identity = identity(a);
        Tensor decay = torch.linalg_solve(identity.sub(half), identity.add(half)); // (D, N, N)
        Tensor input =
                torch.linalg_solve(identity.sub(half), exact(b).unsqueeze(2).mul(dt)); // (D, N, 1)
        Tensor stored = exact(c).mul(conjugation(a)).mul(new Scalar(2.0)).unsqueeze(1); // (D, 1, N)
        Tensor remaining = identity.sub(torch.linalg_matrix_power(decay, length)); // 1 - Āᴸ
        Tensor output = torch.linalg_solve(remaining, stored, false); // x · remaining = stored
        return new Dense(decay, input, output);
    }

    /** How fast modes fade: from the eigenvalues µ of Ā, those of A being (2 / Δ)(µ - 1) / (µ + 1); (D, N) each, float64. */
    LinearLayer.Rates rates() {
        Tensor discrete = torch.linalg_eigvals(dense().a()); // (D, N)
        Scalar one = new Scalar(1.0);
        Tensor continuous = torch.real(discrete.sub(one).div(discrete.add(one)))
                .mul(new Scalar(-2.0))
                .div(step.to(ScalarType.Double).unsqueeze(1));
        return new LinearLayer.Rates(continuous, discrete.abs().log().neg());
    }

    /** C̃ of systems whose C is what this record has in its place: (D, N), float64. */
    Tensor stored() {
        Dense dense = dense();
        Tensor output =
                exact(c).mul(conjugation(dense.a())).mul(new Scalar(2.0)).unsqueeze(1); // (D, 1, N)
        Tensor remaining = identity(dense.a()).sub(torch.linalg_matrix_power(dense.a(), length));
        return output.matmul(remaining).squeeze(1).mul(conjugation(dense.a())).mul(new Scalar(0.5));
    }

    private static Tensor identity(Tensor like) {
        return torch.eye(like.size(1), like.options());
    }

    private static Tensor exact(Tensor x) {
        return ComplexTensors.toPairs(x).to(ScalarType.Double);
    }

    /** 1, -1, 1, -1 …: Re(c x) is the real part of c times that of x, less the product of the imaginary ones: (N). */
    private static Tensor conjugation(Tensor like) {
        Tensor ones = torch.ones(new long[] {like.size(1) / 2}, like.options());
        return torch.stack(new TensorVector(ones, ones.neg()), 1).flatten(0, 1);
    }

    /** Multiplication by Λ as 2 × 2 blocks on the diagonal: (D, N, N), float64. */
    private Tensor rotations() {
        Tensor parts = torch.view_as_real(lambda).to(ScalarType.Double); // (D, M, 2)
        Tensor rate = parts.select(2, 0); // (D, M)
        Tensor turn = parts.select(2, 1); // (D, M)
        Tensor none = turn.mul(new Scalar(0.0));
        long n = 2 * rate.size(1);
        Tensor diagonal = torch.stack(new TensorVector(rate, rate), 2).flatten(1, 2); // (D, N)
        Tensor beside =
                torch.stack(new TensorVector(turn, none), 2).flatten(1, 2).narrow(1, 0, n - 1); // (D, N - 1)
        return diagonal.diag_embed(0, -2, -1).sub(beside.diag_embed(1, -2, -1)).add(beside.diag_embed(-1, -2, -1));
    }

    /** Of pieces of at most {@code size} steps, in the type of the parameters. */
    Pieces response(long size) {
        Dense dense = dense();
        List<Tensor> powers = new ArrayList<>(); // Ā, Ā², Ā⁴ …
        powers.add(dense.a());
        Tensor reach = dense.b(); // (D, N, 1), then twice as many columns each time
        Tensor observe = dense.c().matmul(dense.a()); // (D, 1, N), likewise
        while (reach.size(2) < size) {
            Tensor power = powers.getLast();
            reach = torch.cat(new TensorVector(reach, power.matmul(reach)), 2);
            observe = torch.cat(new TensorVector(observe, observe.matmul(power)), 1);
            powers.add(power.matmul(power));
        }
        ScalarType type = step.scalar_type().intern();
        Tensor kernel = dense.c().matmul(reach).squeeze(1); // (D, P)
        return new Pieces(
                kernel.to(type),
                observe.to(type),
                reach.to(type),
                powers.stream().map(power -> power.to(type)).toList());
    }

    /**
     * What the system does in a piece of P steps, a power of two.
     *
     * @param powers Ā, Ā², Ā⁴ … Āᴾ, each (D, N, N)
     */
    record Pieces(Tensor kernel, Tensor observe, Tensor reach, List<Tensor> powers) implements LinearLayer.Response {
        Pieces {
            powers = List.copyOf(powers);
        }

        @Override
        public Tensor advance(Tensor state, long steps) {
            Tensor x = state.permute(1, 2, 0); // (D, N, B)
            for (int bit = 0; bit < powers.size(); bit++) {
                if ((steps >> bit & 1) == 1) {
                    x = powers.get(bit).matmul(x);
                }
            }
            return x.permute(2, 0, 1); // (B, D, N)
        }

        /** All tensors. */
        List<Tensor> tensors() {
            List<Tensor> all = new ArrayList<>(powers);
            all.addAll(List.of(kernel, observe, reach));
            return all;
        }
    }
}
