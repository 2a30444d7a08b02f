package org.mamba4j.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.mamba4j.UserError;

class LogitsTest {
    @Test
    void aLogProbabilityIsStable() {
        assertThat(Logits.logProbability(new float[] {3e38f, 0}, 0)).isZero();
        assertThat(Logits.logProbability(new float[] {3e38f, -3e38f}, 1)).isCloseTo(-6e38, within(1e31));
        assertThat(Logits.logProbability(new float[] {-1000, -1000}, 1)).isCloseTo(-Math.log(2), within(1e-12));
        assertThat(Logits.logProbability(new float[] {0, Float.NEGATIVE_INFINITY}, 0))
                .isZero();
    }

    @Test
    void whatIsNoNumberIsRefused() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> Logits.logProbability(new float[] {0, bad}, 0))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("the logit of token 1 is " + bad);
        }
        assertThatThrownBy(() -> Logits.logProbability(new float[] {Float.NEGATIVE_INFINITY, 0}, 0))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("token 0");
    }
}
