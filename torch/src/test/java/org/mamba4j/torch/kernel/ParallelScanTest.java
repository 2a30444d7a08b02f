package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** Forward, on finite numbers: it is there to be timed against, not to train with. */
class ParallelScanTest {
    private static final int B = 2;
    private static final int D = 5;
    private static final int N = 3;

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 7, 8, 31, 64, 97})
    void putsStepsTogetherAsTheRecurrenceTakesThem(int length) {
        Random random = new Random(length);
        TensorScope.run(() -> {
            ScanInputs in = ScanInputs.of(
                            normal(random, B, length, D),
                            normal(random, B, length, D),
                            normal(random, D, N).abs().neg(),
                            normal(random, B, length, N),
                            normal(random, B, length, N))
                    .withSoftplus(true)
                    .withDeltaBias(normal(random, D))
                    .withSkip(normal(random, D))
                    .withGate(normal(random, B, length, D))
                    .from(normal(random, B, D, N));
            SequenceOutput expected = ComposedScan.slices().apply(in, true);
            SequenceOutput actual = new ParallelScan().apply(in, true);
            assertClose(actual.y(), expected.y());
            assertClose(actual.lastState(), expected.lastState());
        });
    }

    private static void assertClose(Tensor actual, Tensor expected) {
        assertThat(actual.shape()).isEqualTo(expected.shape());
        float[] values = Tensors.toFloats(actual);
        float[] wanted = Tensors.toFloats(expected);
        for (int i = 0; i < wanted.length; i++) {
            assertThat(values[i]).isCloseTo(wanted[i], within(1e-5f * Math.max(1, Math.abs(wanted[i]))));
        }
    }

    private static Tensor normal(Random random, int... sizes) {
        int count = 1;
        long[] shape = new long[sizes.length];
        for (int i = 0; i < sizes.length; i++) {
            count *= sizes[i];
            shape[i] = sizes[i];
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return Tensors.of(values, shape);
    }
}
