package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mamba4j.TestSeed;
import org.mamba4j.torch.Gpu;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** The scan over expanded channels against the one in segments: outputs, last state and every gradient. */
class ExpandedScanTest {
    private static final int BATCH = 2;
    private static final int CHANNELS = 5;
    private static final int STATES = 3;
    private static final Offset<Float> TOLERANCE = Offset.offset(2e-5f);

    private record Run(List<float[]> values) {}

    @ParameterizedTest
    @CsvSource({"1,true,true", "17,true,true", "40,true,false", "9,false,true", "33,false,false"})
    void equalsTheScanInSegments(int length, boolean bOfToken, boolean cOfToken) {
        Run expected = run(length, bOfToken, cOfToken, DiagonalScan::composed);
        Run actual = run(
                length,
                bOfToken,
                cOfToken,
                in -> ExpandedScan.apply(in, Gpu.kernelsUnderTest().scan(), true));
        assertThat(actual.values()).hasSameSizeAs(expected.values());
        for (int i = 0; i < actual.values().size(); i++) {
            assertThat(actual.values().get(i))
                    .as("tensor %d", i)
                    .containsExactly(expected.values().get(i), TOLERANCE);
        }
    }

    @Test
    void refusesAComplexA() {
        TensorScope.run(() -> {
            Tensor u = Tensors.zeros(1, 2, 1);
            Tensor a = Tensors.zeros(1, 1);
            Tensor b = Tensors.zeros(1, 2);
            DiagonalScan.Inputs in = new DiagonalScan.Inputs(u, u, a, a, b, b, Tensors.absent());
            assertThatThrownBy(
                            () -> ExpandedScan.apply(in, Gpu.kernelsUnderTest().scan(), false))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("complex");
        });
    }

    private interface Scan {
        SequenceOutput apply(DiagonalScan.Inputs in);
    }

    /** y, the last state, and the gradient of each input of a weighted sum of y. */
    private static Run run(int length, boolean bOfToken, boolean cOfToken, Scan scan) {
        SplittableRandom random = new SplittableRandom(TestSeed.of("expanded scan"));
        return TensorScope.call(() -> {
            List<Tensor> inputs = List.of(
                    leaf(random, -1, 1, BATCH, length, CHANNELS),
                    leaf(random, 0.01, 2, BATCH, length, CHANNELS),
                    leaf(random, -3, -0.1, CHANNELS, STATES),
                    bOfToken ? leaf(random, -1, 1, BATCH, length, STATES) : leaf(random, -1, 1, CHANNELS, STATES),
                    cOfToken ? leaf(random, -1, 1, BATCH, length, STATES) : leaf(random, -1, 1, CHANNELS, STATES),
                    leaf(random, -1, 1, BATCH, CHANNELS, STATES));
            Tensor weights = leaf(random, -1, 1, BATCH, length, CHANNELS).detach();
            SequenceOutput out = scan.apply(new DiagonalScan.Inputs(
                    inputs.get(0),
                    inputs.get(1),
                    inputs.get(2),
                    Tensors.absent(),
                    inputs.get(3),
                    inputs.get(4),
                    inputs.get(5)));
            out.y().mul(weights).sum().backward();
            List<float[]> values = new ArrayList<>();
            values.add(Tensors.toFloats(out.y().detach()));
            values.add(Tensors.toFloats(out.lastState().detach()));
            inputs.forEach(input -> values.add(Tensors.toFloats(input.grad())));
            return new Run(values);
        });
    }

    private static Tensor leaf(SplittableRandom random, double from, double to, long... shape) {
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        float[] values = new float[(int) count];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextDouble(from, to);
        }
        return Tensors.on(Gpu.kernelsUnderTest().device(), Tensors.of(values, shape))
                .detach()
                .requires_grad_(true);
    }
}
