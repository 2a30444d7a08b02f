package org.mamba4j.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The gradients of p · q + r, computed by hand through {@link CustomGradient}, against libtorch's. */
class CustomGradientTest {
    private TensorScope scope;

    @BeforeEach
    void open() {
        scope = new TensorScope();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    @Test
    void gradientsEqualLibtorchs() {
        Tensor p = leaf(1, 2, 3, 4);
        Tensor q = leaf(5, 6, 7, 8);
        Tensor r = leaf(1, -1, 1, -1);
        Tensor weights = Tensors.of(new float[] {1, 10, 100, 1000}, 4);
        multiplyAdd(p, q, r).mul(weights).sum().backward();
        assertThat(Tensors.toFloats(p.grad())).containsExactly(5, 60, 700, 8000);
        assertThat(Tensors.toFloats(q.grad())).containsExactly(1, 20, 300, 4000);
        assertThat(Tensors.toFloats(r.grad())).containsExactly(1, 10, 100, 1000);
    }

    @Test
    void theOutputIsUntouchedEvenByInfinitiesAndNaN() {
        Tensor p = leaf(Float.POSITIVE_INFINITY, Float.NaN, 3, 4);
        Tensor y = multiplyAdd(p, leaf(1, 1, 1, 1), leaf(0, 0, 0, 0));
        assertThat(Tensors.toFloats(y)).containsExactly(Float.POSITIVE_INFINITY, Float.NaN, 3, 4);
        y.sum().backward();
        assertThat(Tensors.toFloats(p.grad())).containsExactly(1, 1, 1, 1);
    }

    @Test
    void anInputGivenTwiceGetsTheSum() {
        Tensor p = leaf(1, 2, 3, 4);
        multiplyAdd(p, p, p).sum().backward();
        assertThat(Tensors.toFloats(p.grad())).containsExactly(3, 5, 7, 9);
    }

    @Test
    void anInputWithAnotherUseGetsTheSum() {
        Tensor x = leaf(1, 2, 3, 4);
        Tensor p = x.mul(x); // not a leaf
        multiplyAdd(p, leaf(2, 2, 2, 2), leaf(0, 0, 0, 0)).add(p).sum().backward();
        assertThat(Tensors.toFloats(x.grad())).containsExactly(6, 12, 18, 24);
    }

    @Test
    void anOutputWithTwoUsesIsDifferentiatedOnce() {
        Tensor p = leaf(1, 2, 3, 4);
        int[] calls = {0};
        Tensor y = multiplyAdd(p, leaf(2, 2, 2, 2), leaf(0, 0, 0, 0), calls);
        y.sum().add(y.mul(y).sum()).backward();
        assertThat(calls[0]).isEqualTo(1);
        assertThat(Tensors.toFloats(p.grad())).containsExactly(2 * (1 + 4), 2 * (1 + 8), 2 * (1 + 12), 2 * (1 + 16));
    }

    @Test
    void chainsOfApplications() {
        Tensor p = leaf(1, 2, 3, 4);
        Tensor two = leaf(2, 2, 2, 2);
        Tensor zero = leaf(0, 0, 0, 0);
        Tensor y = p;
        for (int i = 0; i < 5; i++) {
            y = multiplyAdd(y, two, zero);
        }
        y.sum().backward();
        assertThat(Tensors.toFloats(p.grad())).containsExactly(32, 32, 32, 32);
        assertThat(Tensors.toFloats(two.grad())).containsExactly(80, 160, 240, 320); // 5 · 2⁴ p
        assertThat(Tensors.toFloats(zero.grad())).containsExactly(31, 31, 31, 31); // 1 + 2 + 4 + 8 + 16
    }

    @Test
    void inputsThatNeedNoneGetNone() {
        Tensor p = leaf(1, 2, 3, 4);
        Tensor q = Tensors.of(new float[] {5, 6, 7, 8}, 4);
        multiplyAdd(p, q, Tensors.of(new float[4], 4)).sum().backward();
        assertThat(Tensors.toFloats(p.grad())).containsExactly(5, 6, 7, 8);
        assertThat(q.grad().defined()).isFalse();
    }

    @Test
    void noGraphIsBuiltWhereNoneIsWanted() {
        Tensor q = Tensors.of(new float[] {5, 6, 7, 8}, 4);
        assertThat(multiplyAdd(q, q, q).requires_grad()).isFalse();
        NoGrad.run(() ->
                assertThat(multiplyAdd(leaf(1, 2, 3, 4), q, q).requires_grad()).isFalse());
    }

    @Test
    void gradientsAccumulateOverStepsAndARetainedGraphRunsTwice() {
        Tensor p = leaf(1, 2, 3, 4);
        Tensor loss = multiplyAdd(p, leaf(5, 6, 7, 8), leaf(0, 0, 0, 0)).sum();
        loss.backward(new Tensor(), new BoolOptional(true), false, new TensorArrayRefOptional());
        loss.backward();
        assertThat(Tensors.toFloats(p.grad())).containsExactly(10, 12, 14, 16);
    }

    @Test
    void runsBackwardAfterAScopeForTemporariesHasClosed() {
        Tensor p = leaf(1, 2, 3, 4);
        Tensor y;
        try (TensorScope temporaries = TensorScope.temporaries()) {
            y = temporaries.promote(multiplyAdd(p, leaf(5, 6, 7, 8), leaf(0, 0, 0, 0)));
        }
        y.sum().backward();
        assertThat(Tensors.toFloats(p.grad())).containsExactly(5, 6, 7, 8);
    }

    @Test
    void aFailureInTheBackwardPassReachesTheCaller() {
        Tensor p = leaf(1, 2, 3, 4);
        Tensor y = Tensors.zeros(4);
        CustomGradient.apply(y, List.of(p), (gradY, gradients) -> {
            throw new IllegalStateException("the kernel does not like this");
        });
        Tensor loss = y.sum();
        assertThatThrownBy(loss::backward).hasMessageContaining("the kernel does not like this");
    }

    @Test
    void anOutputOfAGraphIsRefused() {
        Tensor p = leaf(1, 2, 3, 4);
        Tensor y = p.mul(p);
        assertThatThrownBy(() -> CustomGradient.apply(y, List.of(p), (gradY, gradients) -> {}))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void emptyTensorsPass() {
        Tensor p = leaf();
        multiplyAdd(p, leaf(), leaf()).sum().backward();
        assertThat(Tensors.toFloats(p.grad())).isEmpty();
    }

    @Test
    void thousandsOfHooksLeaveNothingBehind() {
        Tensor p = scope.release(leaf(1, 2, 3, 4));
        hooks(p, 100); // warm-up
        long before = TensorScope.liveObjects();
        hooks(p, 3_000);
        assertThat(TensorScope.liveObjects()).isLessThanOrEqualTo(before);
        p.close();
    }

    private static void hooks(Tensor p, int applications) {
        for (int i = 0; i < applications; i++) {
            TensorScope.run(() -> multiplyAdd(p, p, p).sum().backward());
        }
    }

    private static Tensor leaf(float... values) {
        Tensor leaf = Tensors.of(values, values.length);
        leaf.requires_grad_(true);
        return leaf;
    }

    private static Tensor multiplyAdd(Tensor p, Tensor q, Tensor r) {
        return multiplyAdd(p, q, r, new int[1]);
    }

    /** p · q + r, of which libtorch's graph sees nothing. */
    private static Tensor multiplyAdd(Tensor p, Tensor q, Tensor r, int[] calls) {
        Tensor savedP = CustomGradient.save(p);
        Tensor savedQ = CustomGradient.save(q);
        Tensor y = torch.addcmul(r.detach(), savedP, savedQ, new Scalar(1f));
        return CustomGradient.apply(y, List.of(p, q, r), (gradY, gradients) -> {
            calls[0]++;
            fill(gradients.get(0), gradY.mul(savedQ));
            fill(gradients.get(1), gradY.mul(savedP));
            fill(gradients.get(2), gradY);
        });
    }

    private static void fill(Tensor gradient, Tensor values) {
        if (gradient.defined()) {
            gradient.copy_(values);
        }
    }
}
