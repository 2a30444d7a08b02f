package org.mamba4j.torch;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/** Between complex tensors and the real ones that are trained and stored, real and imaginary parts in turn. */
public final class ComplexTensors {
    private ComplexTensors() {}

    /** real + i imaginary, of one shape. */
    public static Tensor of(Tensor real, Tensor imaginary) {
        return torch.view_as_complex(torch.stack(new TensorVector(real, imaginary), -1));
    }

    /** {@code x} itself where it is complex, else with imaginary parts of zero. */
    public static Tensor of(Tensor x) {
        return x.is_complex() ? x : of(x, x.mul(new Scalar(0.0)));
    }

    /** Real and imaginary parts in turn as complex numbers: (…, 2 M) → (…, M). */
    public static Tensor ofPairs(Tensor x) {
        Tensor pairs = x.unflatten(-1, x.size(-1) / 2, 2); // (…, M, 2)
        // Not a view: columns of a wider tensor may begin where no complex number can.
        return of(pairs.select(-1, 0), pairs.select(-1, 1));
    }

    /** The inverse of {@link #ofPairs}. */
    public static Tensor toPairs(Tensor x) {
        return torch.view_as_real(x.resolve_conj()).flatten(-2, -1);
    }
}
