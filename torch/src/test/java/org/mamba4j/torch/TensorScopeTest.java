package org.mamba4j.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

class TensorScopeTest {
    @Test
    void everythingMadeInsideIsFreed() {
        work(); // class initialisation makes objects that stay
        long before = TensorScope.liveObjects();
        work();
        assertThat(TensorScope.liveObjects()).isEqualTo(before);
    }

    private static void work() {
        TensorScope.run(() -> {
            Tensor x = Tensors.of(new float[] {1, 2}, 2);
            x.requires_grad_(true);
            x.mul(x).add(x).sum().backward();
        });
    }

    @Test
    void promotedTensorsGoToTheEnclosingScope() {
        Tensor inner = TensorScope.call(() -> {
            Tensor promoted;
            try (TensorScope scope = new TensorScope()) {
                promoted = scope.promote(Tensors.of(new float[] {1, 2}, 2));
            }
            assertThat(Tensors.toFloats(promoted)).containsExactly(1, 2);
            return promoted;
        });
        assertThat(inner.isNull()).isTrue();
    }

    @Test
    void releasedTensorsOutliveAllScopes() {
        Tensor kept = TensorScope.call(() -> {
            try (TensorScope scope = new TensorScope()) {
                return scope.release(Tensors.of(new float[] {1, 2}, 2));
            }
        });
        assertThat(Tensors.toFloats(kept)).containsExactly(1, 2);
        kept.close();
        assertThat(kept.isNull()).isTrue();
    }

    @Test
    void aGraphCannotLeave() {
        try (TensorScope scope = new TensorScope()) {
            Tensor x = Tensors.of(new float[] {1, 2}, 2);
            x.requires_grad_(true);
            Tensor y = x.mul(x);
            assertThatThrownBy(() -> scope.release(y)).hasMessageContaining("detach it first");
        }
    }

    @Test
    void scopesCloseInReverseOrder() {
        try (TensorScope outer = new TensorScope()) {
            TensorScope.run(() -> assertThatThrownBy(outer::close).isInstanceOf(IllegalStateException.class));
        }
    }
}
