package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.Rope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * Causal attention with rotary positions over all tokens read so far: what the Transformers of this package share.
 *
 * <p>Keys are kept turned, so a token read long ago needs no more work than to be looked at. The product itself is libtorch's
 * {@code scaled_dot_product_attention}, which never holds an (L, T) matrix of a whole text where the machine has a
 * fused kernel; where part of the text was read before, it needs a mask, so the queries then pass in pieces of {@value
 * #MASKED_QUERIES}.
 *
 * <p>Shapes: B batch, L tokens at hand, T all tokens, H heads, K heads of keys and values, n width of a head, r turned
 * part of it.
 *
 * @param rope how positions turn
 * @param kernels type of the activations
 * @param parameters of the model, which keep the angles per position
 */
record Attention(Rope rope, MambaKernels kernels, Parameters parameters) {
    /** Queries that look back at a text read before pass in pieces of so many. */
    static final int MASKED_QUERIES = 1024;

    private static final double NO_DROPOUT = 0;

    /**
     * Cosine and sine of the angle by which each pair of each token at hand is turned.
     *
     * @param cos (L, r / 2)
     * @param sin (L, r / 2)
     */
    record Turns(Tensor cos, Tensor sin) {}

    /** The angles of {@code length} tokens after {@code start} others. */
    Turns turns(long start, long length) {
        Tensor frequency = parameters.constant("rope.frequency", rope::frequencies, 1, rope.size() / 2); // (1, r / 2)
        Tensor angle = parameters.range(start, start + length).unsqueeze(1).mul(frequency); // (L, r / 2)
        return new Turns(angle.cos(), angle.sin());
    }

    /** Turns the pairs (i, i + r / 2) of the first r numbers of each head: (B, H, L, n) → (B, H, L, n). */
    Tensor turn(Tensor x, Turns turns) {
        long half = rope.size() / 2;
        if (half == 0) {
            return x;
        }
        Tensor exact = x.to(ScalarType.Float);
        Tensor first = exact.narrow(3, 0, half); // (B, H, L, r / 2)
        Tensor second = exact.narrow(3, half, half); // (B, H, L, r / 2)
        Tensor one = first.mul(turns.cos()).sub(second.mul(turns.sin()));
        Tensor other = second.mul(turns.cos()).add(first.mul(turns.sin()));
        long rest = x.size(3) - 2 * half;
        TensorVector parts = rest == 0
                ? new TensorVector(one, other)
                : new TensorVector(one, other, exact.narrow(3, 2 * half, rest));
        return kernels.activation(torch.cat(parts, 3)); // (B, H, L, n)
    }

    /**
     * What each token finds in those up to itself.
     *
     * @param q (B, H, L, n)
     * @param k the last L are those at hand (B, K, T, n)
     * @param v likewise (B, K, T, n)
     * @return (B, L, H · n)
     */
    static Tensor attend(Tensor q, Tensor k, Tensor v) {
        long length = q.size(2);
        long before = k.size(2) - length;
        Tensor found;
        if (before == 0 || length == 1) {
            found = attend(q, k, v, new TensorOptional(), before == 0); // (B, H, L, n)
        } else {
            TensorVector pieces = new TensorVector();
            for (long from = 0; from < length; from += MASKED_QUERIES) {
                long count = Math.min(MASKED_QUERIES, length - from);
                long seen = before + from + count;
                Tensor mask = Tensors.emptyLike(q, ScalarType.Bool, count, seen)
                        .fill_(new Scalar(1))
                        .tril(before + from); // (count, seen)
                pieces.push_back(attend(
                        q.narrow(2, from, count),
                        k.narrow(2, 0, seen),
                        v.narrow(2, 0, seen),
                        new TensorOptional(mask),
                        false));
            }
            found = torch.cat(pieces, 2); // (B, H, L, n)
        }
        return found.transpose(1, 2).reshape(q.size(0), length, q.size(1) * q.size(3));
    }

    private static Tensor attend(Tensor q, Tensor k, Tensor v, TensorOptional mask, boolean causal) {
        boolean grouped = q.size(1) != k.size(1);
        return torch.scaled_dot_product_attention(q, k, v, mask, NO_DROPOUT, causal, new DoubleOptional(), grouped);
    }
}
