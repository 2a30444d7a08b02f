package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/**
 * A linear time-invariant state space in each channel: x(t) = Ā x(t - 1) + B̄ u(t), y(t) = C x(t) + D u(t).
 *
 * <p>What it does to a whole sequence is a convolution with the kernel K(l) = C Āˡ B̄, by FFT: that is how it trains. A
 * sequence that goes on passes in pieces. A piece sees two things, its own inputs through the kernel, and the state that it
 * found through C Āˡ⁺¹; and it leaves a state, made of the one that it found and of its own inputs through Āˡ B̄. So a piece of any
 * length costs a few products of matrices, a single token too.
 *
 * <p>States are N real numbers per channel. Where the system is complex, they are the real and imaginary parts in turn of N / 2
 * complex ones, each of which stands for its conjugate too.
 *
 * <p>Shapes: B batch, L length, P length of a piece, D channels, N numbers of state per channel.
 */
abstract class LinearLayer implements InnerLayer {
    /** Steps that pass at once when a sequence goes on. */
    static final int PIECE = 256;

    private final ComposedLayer layer;

    LinearLayer(ComposedLayer layer) {
        this.layer = layer;
    }

    /** Whose inner layer it is. */
    final ComposedLayer layer() {
        return layer;
    }

    /** What the system does in a piece. */
    interface Response {
        /** C Āˡ B̄ for l = 0 … P - 1: (D, P). */
        Tensor kernel();

        /** C Āˡ⁺¹ for l = 0 … P - 1: (D, P, N). */
        Tensor observe();

        /** Āˡ B̄ for l = 0 … P - 1: (D, N, P). */
        Tensor reach();

        /** The state after {@code steps} ≤ P steps without input: (B, D, N) → (B, D, N). */
        Tensor advance(Tensor state, long steps);
    }

    /** C Āˡ B̄ for l = 0 … {@code length} - 1: (D, length). */
    abstract Tensor kernel(long length);

    /** Greatest length for which there is a {@link #kernel}. */
    abstract long longestKernel();

    /** Of pieces of {@code length} steps, for a sequence with {@code carry}. */
    abstract Response response(long length, Carry carry);

    /** |Re A| of the continuous system's modes, in 1 / Δ, and -ln |Ā| of the discrete one's: each (D, M). */
    abstract Rates rates();

    /** How fast modes fade: per unit of Δ, and per token. */
    record Rates(Tensor continuous, Tensor perToken) {}

    @Override
    public final LayerView view(Tensor u) {
        Rates rates = rates();
        return new LayerView.Invariant(
                kernel(Math.min(u.size(1), longestKernel())), rates.continuous(), rates.perToken());
    }

    @Override
    public final Tensor forward(Tensor u, Carry carry) {
        Tensor exact = u.to(ScalarType.Float); // (B, L, D)
        long length = u.size(1);
        Tensor y;
        if (carry.wantsState() || length > longestKernel()) {
            y = pieces(exact, carry); // (B, L, D)
        } else {
            y = FftConvolution.causal(exact.transpose(1, 2), kernel(length)).transpose(1, 2); // (B, L, D)
        }
        return layer.kernels().activation(y.add(exact.mul(layer.weight("mixer.ssm.D"))));
    }

    private Tensor pieces(Tensor u, Carry carry) {
        long length = u.size(1);
        long size = Math.min(PIECE, length);
        Response response = response(size, carry);
        Tensor start = carry.get(layer.index(), "ssm");
        Tensor state = start.defined() ? start : zeros(u); // (B, D, N)
        TensorVector ys = new TensorVector();
        for (long from = 0; from < length; from += size) {
            long steps = Math.min(size, length - from);
            Tensor piece = u.narrow(1, from, steps); // (B, P, D)
            ys.push_back(outputs(piece, state, response));
            state = next(piece, state, response);
        }
        if (carry.wantsState()) {
            carry.update(layer.index(), "ssm", state.contiguous());
        }
        return torch.cat(ys, 1); // (B, L, D)
    }

    private Tensor zeros(Tensor u) {
        long states = layer.parts().dState();
        return Tensors.emptyLike(u, ScalarType.Float, u.size(0), u.size(2), states)
                .fill_(new Scalar(0));
    }

    /** What a piece (B, P, D) that finds a state (B, D, N) gives: (B, P, D). */
    static Tensor outputs(Tensor piece, Tensor state, Response response) {
        return within(piece, response).add(seen(state, response, piece.size(1)));
    }

    /** The state (B, D, N) that it leaves. */
    static Tensor next(Tensor piece, Tensor state, Response response) {
        return response.advance(state, piece.size(1)).add(left(piece, response));
    }

    /** What a piece sees of itself: (B, P, D) → (B, P, D). */
    private static Tensor within(Tensor piece, Response response) {
        return FftConvolution.causal(piece.transpose(1, 2), response.kernel()).transpose(1, 2);
    }

    /** What it sees of the state that it found: (B, D, N) → (B, P, D). */
    private static Tensor seen(Tensor state, Response response, long steps) {
        return response.observe()
                .narrow(1, 0, steps)
                .matmul(state.permute(1, 2, 0)) // (D, P, B)
                .permute(2, 1, 0);
    }

    /** What it leaves of its inputs in the state: (B, P, D) → (B, D, N). */
    private static Tensor left(Tensor piece, Response response) {
        Tensor latestFirst = piece.permute(2, 1, 0).flip(1); // (D, P, B)
        return response.reach()
                .narrow(2, 0, piece.size(1))
                .matmul(latestFirst) // (D, N, B)
                .permute(2, 0, 1);
    }
}
