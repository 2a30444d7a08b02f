package org.mamba4j.torch.fidelity;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.MemoryProbe;

class DecodersTest {
    private static final int LENGTH = 400;
    private static final int WIDTH = 8;
    private static final List<Integer> LAGS = List.of(0, 1, 2, 4, 8);

    /** Layer 0 holds the token and the one 4 before; layer 1 the same turned around; layer 2 noise. */
    private static MemoryProbe probe(long seed) {
        Random random = new Random(seed);
        float[] embedded = new float[LENGTH * WIDTH];
        float[][] out = new float[3][LENGTH * WIDTH];
        for (int t = 0; t < LENGTH; t++) {
            for (int i = 0; i < WIDTH; i++) {
                out[2][t * WIDTH + i] = (float) random.nextGaussian();
            }
            for (int i = 0; i < WIDTH / 2; i++) {
                embedded[t * WIDTH + i] = (float) random.nextGaussian();
                float now = embedded[t * WIDTH + i];
                float before = t < 4 ? 0 : embedded[(t - 4) * WIDTH + i];
                out[0][t * WIDTH + i] = now + 3;
                out[0][t * WIDTH + WIDTH / 2 + i] = before - now;
                out[1][t * WIDTH + i] = 2 * before + 0.5f * now;
                out[1][t * WIDTH + WIDTH / 2 + i] = now - before - 1;
            }
        }
        Tensor none = Tensors.absent();
        return new MemoryProbe(
                Tensors.of(embedded, 1, LENGTH, WIDTH),
                java.util.stream.Stream.of(out)
                        .map(o -> new MemoryProbe.Layer(
                                Tensors.of(o, 1, LENGTH, WIDTH), none, none, none, none, List.of()))
                        .toList());
    }

    @Test
    void whatIsHeldIsFoundAndNothingElse() {
        NoGrad.run(() -> TensorScope.run(() -> {
            Decoders decoders = new Decoders(3, WIDTH, LAGS, Tensors.zeros(1));
            decoders.fit(probe(1));
            decoders.fit(probe(2));
            decoders.solve();
            decoders.score(probe(3));
            decoders.score(probe(4));
            for (int layer = 0; layer < 2; layer++) {
                List<Double> fidelity = decoders.fidelity(layer);
                assertThat(fidelity.get(0)).as("the token itself").isGreaterThan(0.95);
                assertThat(fidelity.get(3)).as("the token 4 before").isGreaterThan(0.95);
                assertThat(fidelity.get(1)).isBetween(-0.15, 0.15);
                assertThat(fidelity.get(4)).isBetween(-0.15, 0.15);
            }
            assertThat(decoders.fidelity(2)).allSatisfy(f -> assertThat(f).isBetween(-0.15, 0.15));
            assertThat(decoders.explained(0, 1)).isGreaterThan(0.99);
            assertThat(decoders.explained(0, 2)).as("noise explains nothing").isLessThan(0.05);
            assertThat(decoders.explained(1, 2)).isLessThan(0.05);
        }));
    }
}
