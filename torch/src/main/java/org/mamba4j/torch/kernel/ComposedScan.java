package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.torch.Tensors;

/**
 * The selective scan out of libtorch's operations and gradients, in two forms: {@link #slices}, a transcription of the
 * recurrence that takes one step at a time out of each input, and {@link #unbound}, the fastest form found. The gradient
 * of taking a slice is a whole tensor of zeros around it, so the first costs O(L²) in time backward; the second lays L
 * outermost, unbinds all steps in one operation (whose gradient is one stack) and does in the loop only what depends on
 * the state. Both keep (B, L, D, N) tensors: they are references, not for use.
 */
public final class ComposedScan implements SelectiveScan {
    private final boolean unbind;

    private ComposedScan(boolean unbind) {
        this.unbind = unbind;
    }

    /** The recurrence as it is written, one slice at a time. */
    public static ComposedScan slices() {
        return new ComposedScan(false);
    }

    /** A loop over unbound, L-major steps. */
    public static ComposedScan unbound() {
        return new ComposedScan(true);
    }

    @Override
    public SequenceOutput apply(ScanInputs in, boolean wantState) {
        Tensor start = in.initialState().defined()
                ? in.initialState()
                : Tensors.zeros(in.u().size(0), in.u().size(2), in.a().size(1)); // (B, D, N)
        if (in.u().size(1) == 0) {
            return new SequenceOutput(in.u(), wantState ? start.detach().clone() : Tensors.absent());
        }
        Tensor delta = in.deltaBias().defined() ? in.delta().add(in.deltaBias()) : in.delta();
        if (in.softplus()) {
            delta = torch.softplus(delta);
        }
        SequenceOutput scanned = unbind ? unbound(in, delta, start) : slices(in, delta, start);
        Tensor y = scanned.y();
        if (in.d().defined()) {
            y = y.add(in.u().mul(in.d()));
        }
        if (in.z().defined()) {
            y = y.mul(torch.silu(in.z()));
        }
        return new SequenceOutput(y, wantState ? scanned.lastState().detach().clone() : Tensors.absent());
    }

    private static SequenceOutput slices(ScanInputs in, Tensor delta, Tensor start) {
        Tensor h = start; // (B, D, N)
        TensorVector ys = new TensorVector();
        for (long t = 0; t < in.u().size(1); t++) {
            Tensor step = delta.select(1, t).unsqueeze(2); // (B, D, 1)
            Tensor decay = step.mul(in.a()).exp(); // (B, D, N)
            Tensor input = step.mul(in.u().select(1, t).unsqueeze(2))
                    .mul(in.b().select(1, t).unsqueeze(1)); // (B, D, N)
            h = decay.mul(forget(in, h, t)).add(input);
            ys.push_back(torch.matmul(h, in.c().select(1, t).unsqueeze(2)).squeeze(2)); // (B, D)
        }
        return new SequenceOutput(torch.stack(ys, 1), h);
    }

    /** The state (B, D, N) as step {@code t} finds it: nothing where a document begins. */
    private static Tensor forget(ScanInputs in, Tensor h, long t) {
        if (!in.resets().defined()) {
            return h;
        }
        Tensor begins = Documents.begins(in.resets().select(1, t)); // (B)
        return h.masked_fill(begins.unsqueeze(1).unsqueeze(2), new Scalar(0));
    }

    private static SequenceOutput unbound(ScanInputs in, Tensor delta, Tensor start) {
        Tensor steps = delta.transpose(0, 1).contiguous(); // (L, B, D)
        TensorVector decays = steps.unsqueeze(3).mul(in.a()).exp().unbind(0); // L × (B, D, N)
        TensorVector inputs = steps.mul(in.u().transpose(0, 1))
                .unsqueeze(3)
                .mul(in.b().transpose(0, 1).unsqueeze(2))
                .unbind(0); // L × (B, D, N)
        Tensor h = start; // (B, D, N)
        TensorVector states = new TensorVector();
        for (long t = 0; t < in.u().size(1); t++) {
            h = torch.addcmul(inputs.get(t), decays.get(t), forget(in, h, t));
            states.push_back(h);
        }
        Tensor c = in.c().transpose(0, 1).unsqueeze(3); // (L, B, N, 1)
        Tensor y = torch.matmul(torch.stack(states, 0), c).squeeze(3); // (L, B, D)
        return new SequenceOutput(y.transpose(0, 1), h);
    }
}
