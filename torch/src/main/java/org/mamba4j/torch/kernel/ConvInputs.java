package org.mamba4j.torch.kernel;

import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.Tensors;

/**
 * What a causal depthwise convolution followed by silu reads: B batch items, L steps, D channels, a kernel of K steps,
 * all float32. Absent optional inputs are {@link Tensors#absent()}.
 *
 * @param x input (B, L, D)
 * @param weight (D, 1, K), as checkpoints have it; the last column meets the current step
 * @param bias (D), optional
 * @param initialState the K - 1 inputs before the first step, oldest first (B, D, K - 1), optional: zeros
 * @param resets nonzero where a document begins (B, L), uint8 or bool, optional: that step and those after it see
 *     nothing of what came before, as if it were zeros; it has no gradient
 */
public record ConvInputs(Tensor x, Tensor weight, Tensor bias, Tensor initialState, Tensor resets) {
    private static final long ANY = -1;

    /** @throws IllegalArgumentException if a shape or the type of the resets does not fit, naming the tensor and both */
    public ConvInputs {
        Tensors.checkShape("x", x, ANY, ANY, ANY);
        long channels = x.size(2);
        Tensors.checkShape("weight", weight, channels, 1, ANY);
        ScanInputs.checkOptional("bias", bias, channels);
        ScanInputs.checkOptional("initialState", initialState, x.size(0), channels, weight.size(2) - 1);
        Documents.check(resets, x.size(0), x.size(1));
    }

    /** Of one document a sequence. */
    public ConvInputs(Tensor x, Tensor weight, Tensor bias, Tensor initialState) {
        this(x, weight, bias, initialState, Tensors.absent());
    }

    /** With documents that begin where {@code resets} (B, L) is nonzero; absent for one a sequence. */
    public ConvInputs withResets(Tensor resets) {
        return new ConvInputs(x, weight, bias, initialState, resets);
    }

    /** The steps of {@code span} alone, as one document. */
    ConvInputs part(Documents.Span span) {
        return new ConvInputs(span.rows(x), weight, bias, span.start(initialState));
    }

    /** Each tensor replaced by what {@code change} makes of it; absent ones are given too. */
    ConvInputs map(UnaryOperator<Tensor> change) {
        return new ConvInputs(
                change.apply(x),
                change.apply(weight),
                change.apply(bias),
                change.apply(initialState),
                change.apply(resets));
    }

    /**
     * The last K - 1 inputs (B, D, K - 1) float32, as a call that continues needs them: older ones from the initial
     * state, those of earlier documents than the last step's zeros.
     */
    Tensor lastInputs() {
        long wanted = weight.size(2) - 1;
        long tail = Math.min(wanted, x.size(1));
        long from = x.size(1) - tail;
        Tensor recent = x.detach().narrow(1, from, tail).transpose(1, 2).to(ScalarType.Float); // (B, D, tail)
        Tensor earlier = initialState.defined()
                ? initialState.detach()
                : Tensors.emptyLike(x, ScalarType.Float, x.size(0), x.size(2), wanted)
                        .zero_();
        Tensor last = torch.cat(new TensorVector(earlier, recent), 2).narrow(2, tail, wanted); // (B, D, K-1)
        if (!resets.defined() || tail == 0) {
            return last.contiguous();
        }
        Tensor numbers = Documents.numbers(resets.narrow(1, from, tail), wanted).narrow(1, tail, wanted); // (B, K-1)
        Tensor gone = numbers.ne(numbers.narrow(1, wanted - 1, 1)).unsqueeze(1);
        return last.masked_fill(gone, new Scalar(0)).contiguous();
    }
}
