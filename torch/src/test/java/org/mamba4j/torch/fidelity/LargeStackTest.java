package org.mamba4j.torch.fidelity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class LargeStackTest {
    private static long depth(int left) {
        return left == 0 ? 0 : 1 + depth(left - 1);
    }

    @Test
    void descendsFartherThanAnOrdinaryThread() {
        assertThat(LargeStack.call(() -> depth(300_000))).isEqualTo(300_000);
    }

    @Test
    void whatIsThrownArrives() {
        assertThatThrownBy(() -> LargeStack.call(() -> {
                    throw new IllegalArgumentException("so");
                }))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("so");
    }
}
