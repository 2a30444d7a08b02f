package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/**
 * Mamba-2's recurrence, chunk by chunk [1, section 6].
 *
 * <p>Head h has one decay for all its P channels and N states: h(t) = exp(a(t)) h(t - 1) + x(t) ⊗ B(t), y(t) = h(t) C(t). Of
 * one chunk of Q tokens that started from nothing, y is a product of matrices: y(i) = Σ C(i)·B(j) exp(a(j + 1) + … + a(i))
 * x(j) over j ≤ i, an attention whose softmax is replaced by decay. What the chunks before left is a state that enters
 * each chunk, and only these L / Q states are a recurrence. Work is O(L Q) instead of attention's O(L²), and nearly all of
 * it in matrix products.
 *
 * <p>All exponents are sums of negative numbers taken between two tokens in order, so none overflows.
 *
 * <p>Shapes: B batch, L length, C chunks of Q tokens, H heads of P channels, G groups of heads with a B and a C of N states.
 *
 * <p>Reference: [1] T. Dao, A. Gu: Transformers are SSMs, arXiv 2405.21060.
 */
final class ChunkedScan {
    private ChunkedScan() {}

    /**
     * What a scan works on, float32.
     *
     * @param x inputs times their time steps (B, L, H, P)
     * @param a logarithms of the decays, negative (B, L, H)
     * @param b how input enters the state (B, L, G, N)
     * @param c how the state is read (B, L, G, N)
     * @param start the state before the first token (B, H, P, N); absent for zeros
     */
    record Inputs(Tensor x, Tensor a, Tensor b, Tensor c, Tensor start) {
        /** B or C for each head: (B, L, G, N) → (B, L, H, N). */
        Tensor perHead(Tensor perGroup) {
            return x.size(2) == perGroup.size(2)
                    ? perGroup
                    : perGroup.repeat_interleave(x.size(2) / perGroup.size(2), new LongOptional(2), new LongOptional());
        }
    }

    /**
     * What a scan gives.
     *
     * @param y (B, L, H, P)
     * @param end the state after the last token (B, H, P, N)
     */
    record Result(Tensor y, Tensor end) {}

    /** One token (L = 1), by the recurrence itself. */
    static Result step(Inputs in) {
        Tensor b = in.perHead(in.b()).select(1, 0).unsqueeze(2); // (B, H, 1, N)
        Tensor c = in.perHead(in.c()).select(1, 0).unsqueeze(3); // (B, H, N, 1)
        Tensor entering = in.x().select(1, 0).unsqueeze(3).mul(b); // (B, H, P, N)
        Tensor decay = in.a().select(1, 0).exp().unsqueeze(2).unsqueeze(3); // (B, H, 1, 1)
        Tensor end = in.start().defined() ? in.start().mul(decay).add(entering) : entering; // (B, H, P, N)
        return new Result(end.matmul(c).squeeze(3).unsqueeze(1), end);
    }

    /** Any number of tokens from 1, in chunks of {@code size}. */
    static Result scan(Inputs in, int size) {
        long length = in.x().size(1);
        long q = Math.min(size, length);
        long padding = (q - length % q) % q; // inputs of zero and decays of one: nothing happens there
        Tensor x = chunks(in.x(), q, padding).transpose(2, 3); // (B, C, H, Q, P)
        Tensor b = chunks(in.perHead(in.b()), q, padding).transpose(2, 3); // (B, C, H, Q, N)
        Tensor c = chunks(in.perHead(in.c()), q, padding).transpose(2, 3); // (B, C, H, Q, N)
        Tensor a = chunks(in.a(), q, padding).transpose(2, 3); // (B, C, H, Q)
        Tensor sum = a.cumsum(3); // (B, C, H, Q)
        Tensor total = sum.narrow(3, q - 1, 1); // (B, C, H, 1)

        Tensor future = Tensors.emptyLike(sum, ScalarType.Bool, q, q)
                .fill_(new Scalar(1))
                .triu(1); // (Q, Q)
        Tensor decays = sum.unsqueeze(4)
                .sub(sum.unsqueeze(3))
                .masked_fill(future, new Scalar(Double.NEGATIVE_INFINITY))
                .exp(); // (B, C, H, Q, Q): from token j to token i
        Tensor within = c.matmul(b.transpose(3, 4)).mul(decays).matmul(x); // (B, C, H, Q, P)

        Tensor left = x.transpose(3, 4).matmul(b.mul(total.sub(sum).exp().unsqueeze(4))); // (B, C, H, P, N)
        List<Tensor> states =
                states(left, total.exp().unsqueeze(4), in.start()); // of each chunk's beginning, and the last
        Tensor end = states.removeLast(); // (B, H, P, N)
        Tensor entering = torch.stack(new TensorVector(states.toArray(Tensor[]::new)), 1); // (B, C, H, P, N)
        Tensor before = c.mul(sum.exp().unsqueeze(4)).matmul(entering.transpose(3, 4)); // (B, C, H, Q, P)

        Tensor y = within.add(before)
                .transpose(2, 3) // (B, C, Q, H, P)
                .reshape(x.size(0), x.size(1) * q, x.size(2), x.size(4))
                .narrow(1, 0, length);
        return new Result(y, end);
    }

    /** (B, L, …) → (B, C, Q, …), with zeros at the end. */
    private static Tensor chunks(Tensor x, long q, long padding) {
        long[] pad = new long[2 * ((int) x.dim() - 1)]; // pairs, the last dimension first
        pad[pad.length - 1] = padding;
        Tensor padded = padding == 0 ? x : torch.constant_pad_nd(x, pad);
        long[] shape = new long[(int) x.dim() + 1];
        shape[0] = x.size(0);
        shape[1] = padded.size(1) / q;
        shape[2] = q;
        for (int i = 2; i < x.dim(); i++) {
            shape[i + 1] = x.size(i);
        }
        return padded.reshape(shape);
    }

    private static List<Tensor> states(Tensor left, Tensor decay, Tensor start) {
        List<Tensor> states = new ArrayList<>();
        states.add(start.defined() ? start : left.select(1, 0).mul(new Scalar(0)));
        for (long i = 0; i < left.size(1); i++) {
            states.add(states.getLast().mul(decay.select(1, i)).add(left.select(1, i)));
        }
        return states;
    }
}
