package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/**
 * The selective scan as an associative scan [1] of libtorch's operations: what one writes without a kernel of one's own.
 *
 * <p>A step is the pair (a, b) of h ↦ a h + b, and (a, b) then (a', b') is the step (a' a, a' b + b'). Steps are put
 * together two by two, the half as many are scanned in the same way, and what lies between takes one more step: O(L) work in
 * O(log L) rounds. But decays, inputs and states of all steps, (B, L, D, N) each, pass through memory in every round,
 * which is what a fused kernel spares [2]. A reference to be timed against, not to train with. All is computed in the type of u.
 *
 * <p>References: [1] G. Blelloch: Prefix Sums and Their Applications, CMU-CS-90-190, 1990. [2] A. Gu, T. Dao: Mamba, arXiv
 * 2312.00752, section 3.3.2.
 */
public final class ParallelScan implements SelectiveScan {
    private static final long TIME = 1;

    @Override
    public SequenceOutput apply(ScanInputs in, boolean wantState) {
        ScalarType type = in.u().scalar_type().intern();
        Tensor start = in.initialState().defined()
                ? in.initialState().to(type)
                : Tensors.emptyLike(
                                in.u(),
                                type,
                                in.u().size(0),
                                in.u().size(2),
                                in.a().size(1))
                        .zero_(); // (B, D, N)
        if (in.u().size(TIME) == 0) {
            return new SequenceOutput(in.u(), wantState ? last(start) : Tensors.absent());
        }
        Tensor delta = in.deltaBias().defined() ? in.delta().add(in.deltaBias()) : in.delta();
        if (in.softplus()) {
            delta = torch.softplus(delta);
        }
        delta = delta.to(type);
        Tensor decays = delta.unsqueeze(3).mul(in.a().to(type)).exp(); // (B, L, D, N)
        if (in.resets().defined()) {
            Tensor begins = Documents.begins(in.resets()); // (B, L)
            decays = decays.masked_fill(begins.unsqueeze(2).unsqueeze(3), new Scalar(0));
        }
        Tensor inputs = delta.mul(in.u()).unsqueeze(3).mul(in.b().unsqueeze(2)); // (B, L, D, N)
        if (in.initialState().defined()) {
            Tensor first =
                    inputs.narrow(TIME, 0, 1).add(decays.narrow(TIME, 0, 1).mul(start.unsqueeze(1)));
            inputs = torch.cat(new TensorVector(first, inputs.narrow(TIME, 1, inputs.size(TIME) - 1)), TIME);
        }
        Tensor states = scan(decays, inputs); // (B, L, D, N)
        Tensor y = torch.matmul(states, in.c().unsqueeze(3)).squeeze(3); // (B, L, D)
        if (in.d().defined()) {
            y = y.add(in.u().mul(in.d()));
        }
        if (in.z().defined()) {
            y = y.mul(torch.silu(in.z()));
        }
        return new SequenceOutput(y, wantState ? last(states.select(TIME, -1)) : Tensors.absent());
    }

    private static Tensor last(Tensor state) {
        return state.detach().to(ScalarType.Float).clone();
    }

    /** h of all steps (B, L, D, N), from nothing. */
    private static Tensor scan(Tensor a, Tensor b) {
        long length = a.size(TIME);
        if (length == 1) {
            return b;
        }
        if (length % 2 == 1) {
            Tensor before = scan(a.narrow(TIME, 0, length - 1), b.narrow(TIME, 0, length - 1));
            Tensor end = torch.addcmul(
                    b.narrow(TIME, length - 1, 1), a.narrow(TIME, length - 1, 1), before.narrow(TIME, length - 2, 1));
            return torch.cat(new TensorVector(before, end), TIME);
        }
        long half = length / 2;
        long[] pairs = {a.size(0), half, 2, a.size(2), a.size(3)};
        Tensor as = a.reshape(pairs);
        Tensor bs = b.reshape(pairs);
        Tensor aFirst = as.select(2, 0); // (B, L / 2, D, N)
        Tensor bFirst = bs.select(2, 0);
        Tensor aSecond = as.select(2, 1);
        Tensor bSecond = bs.select(2, 1);
        Tensor seconds = scan(aSecond.mul(aFirst), torch.addcmul(bSecond, aSecond, bFirst));
        Tensor firsts = bFirst.narrow(TIME, 0, 1);
        if (half > 1) {
            Tensor rest = torch.addcmul(
                    bFirst.narrow(TIME, 1, half - 1),
                    aFirst.narrow(TIME, 1, half - 1),
                    seconds.narrow(TIME, 0, half - 1));
            firsts = torch.cat(new TensorVector(firsts, rest), TIME);
        }
        return torch.stack(new TensorVector(firsts, seconds), 2).view(b.sizes());
    }
}
