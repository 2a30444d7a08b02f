package org.mamba4j.torch.kernel;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** The three matrix products of a linear layer y = x wᵀ and its gradients; M rows, K inputs, N outputs. */
public final class Products {
    private Products() {}

    /** y (M, N) of x (M, K) and w (N, K), plus the bias (N) unless it is absent; all of one type. */
    public static Tensor forward(Tensor x, Tensor w, Tensor bias) {
        return bias.defined() ? torch.addmm(bias, x, w.t()) : torch.mm(x, w.t());
    }

    /** The gradient of x, gradY (M, N) · w (N, K), written to {@code gradX} (M, K), whose rows may be strided. */
    public static void input(Tensor gradY, Tensor w, Tensor gradX) {
        torch.mm_out(gradX, gradY, w);
    }

    /** As {@link #input}, added to what {@code gradX} holds. */
    public static void addInput(Tensor gradY, Tensor w, Tensor gradX) {
        gradX.addmm_(gradY, w);
    }

    /**
     * The gradient of w, gradYᵀ (N, M) · x (M, K), summed in float32 and never rounded to less.
     *
     * @param gradW float32 (N, K)
     * @param add whether to add to it instead of overwriting it
     */
    public static void weight(Tensor gradY, Tensor x, Tensor gradW, boolean add) {
        if (x.scalar_type().intern() == ScalarType.Float) {
            if (add) {
                gradW.addmm_(gradY.t(), x);
            } else {
                torch.mm_out(gradW, gradY.t(), x);
            }
        } else if (add) {
            torch.addmm_out(gradW, gradW, gradY.t(), x, ScalarType.Float, new Scalar(1.0), new Scalar(1.0));
        } else {
            torch.mm_out(gradW, gradY.t(), x, ScalarType.Float);
        }
    }

    /** The gradient of the bias, the column sums of gradY (M, N), in float32; nothing if {@code gradBias} is absent. */
    public static void bias(Tensor gradY, Tensor gradBias, boolean add) {
        if (gradBias.defined()) {
            put(gradY.sum(new long[] {0}, false, new ScalarTypeOptional(ScalarType.Float)), gradBias, add);
        }
    }

    /** Overwrites {@code gradient} with {@code value}, or adds it. */
    public static void put(Tensor value, Tensor gradient, boolean add) {
        if (add) {
            gradient.add_(value);
        } else {
            gradient.copy_(value);
        }
    }
}
