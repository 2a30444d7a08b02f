package org.mamba4j.torch.bench;

import java.util.Locale;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.Precision;

/**
 * How far results are from the reference's: each element may differ by atol + rtol · |reference|, five times that in gradients. The
 * gradient of a parameter is a sum over all steps, whose rounding grows with it: there atol is that many times the root mean square.
 *
 * @param steps that were compared, from the first on
 * @param worst the greatest difference of an element, in parts of what it may be; at most 1
 */
public record Agreement(int steps, double worst) {
    private static final double GRADIENTS = 5;

    /** Compares one after another and keeps the worst. */
    static final class Check {
        private final String work;
        private final double rtol;
        private final double atol;
        private double worst;

        Check(String work, Precision precision) {
            this.work = work;
            this.rtol = precision == Precision.BFLOAT16 ? 3e-2 : 6e-4;
            this.atol = precision == Precision.BFLOAT16 ? 5e-2 : 2e-3;
        }

        void output(Tensor actual, Tensor expected) {
            compare("y", actual, expected, 1, 1);
        }

        void gradient(String what, Tensor actual, Tensor expected, boolean sum) {
            double scale = sum ? TensorScope.call(() -> Math.max(1, rootMeanSquare(expected))) : 1;
            compare("gradient of " + what, actual, expected, GRADIENTS, scale);
        }

        private static double rootMeanSquare(Tensor tensor) {
            return tensor.to(ScalarType.Double)
                    .pow(new Scalar(2.0))
                    .mean()
                    .sqrt()
                    .item_double();
        }

        private void compare(String what, Tensor actual, Tensor expected, double factor, double scale) {
            if (actual.numel() == 0) {
                return;
            }
            double off = TensorScope.call(() -> {
                Tensor wanted = expected.to(ScalarType.Float);
                Tensor allowed = wanted.abs().mul_(new Scalar(factor * rtol)).add_(new Scalar(factor * atol * scale));
                return actual.to(ScalarType.Float)
                        .sub(wanted)
                        .abs_()
                        .div_(allowed)
                        .max()
                        .item_double();
            });
            if (!(off <= 1)) { // NaN is wrong too
                throw new WrongAnswerException(String.format(
                        Locale.ROOT,
                        "%s: wrong answer, not timed: an element of %s %s is off by %.3g times what is allowed",
                        work,
                        what,
                        Tensors.shape(actual),
                        off));
            }
            worst = Math.max(worst, off);
        }

        Agreement after(int steps) {
            return new Agreement(steps, worst);
        }
    }
}
