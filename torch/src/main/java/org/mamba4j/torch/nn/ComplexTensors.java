package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/** Between complex tensors and the real ones that are trained and stored, real and imaginary parts in turn. */
final class ComplexTensors {
    private ComplexTensors() {}

    /** real + i imaginary, of one shape. */
    static Tensor of(Tensor real, Tensor imaginary) {
        return torch.view_as_complex(torch.stack(new TensorVector(real, imaginary), -1));
    }

    /** {@code x} itself where it is complex, else with imaginary parts of zero. */
    static Tensor of(Tensor x) {
        return x.is_complex() ? x : of(x, x.mul(new Scalar(0.0)));
    }

    /** Real and imaginary parts in turn as complex numbers: (…, 2 M) → (…, M). */
    static Tensor ofPairs(Tensor x) {
        return torch.view_as_complex(x.contiguous().unflatten(-1, x.size(-1) / 2, 2));
    }

    /** The inverse of {@link #ofPairs}. */
    static Tensor toPairs(Tensor x) {
        return torch.view_as_real(x.resolve_conj()).flatten(-2, -1);
    }
}
