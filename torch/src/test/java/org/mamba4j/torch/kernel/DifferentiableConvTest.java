package org.mamba4j.torch.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.mamba4j.torch.kernel.DifferentiableScanTest.backward;
import static org.mamba4j.torch.kernel.DifferentiableScanTest.flags;
import static org.mamba4j.torch.kernel.DifferentiableScanTest.leaf;
import static org.mamba4j.torch.kernel.DifferentiableScanTest.random;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.mamba4j.TestSeed;
import org.mamba4j.kernel.Kernels;
import org.mamba4j.torch.Golden;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/** The fused convolution against libtorch's conv1d. */
class DifferentiableConvTest {
    private static final CausalConv COMPOSED = new ComposedConv();
    private static final CausalConv FUSED = new FusedConv(Kernels.best());

    @Test
    void randomShapesAgree() {
        TensorScope.run(() -> {
            long seed = TestSeed.of("DifferentiableConvTest");
            Random random = new Random(seed);
            for (int i = 0; i < 40; i++) {
                long[] sizes = {
                    1 + random.nextInt(3), 1 + random.nextInt(30), 1 + random.nextInt(20), 1 + random.nextInt(6)
                };
                boolean bias = random.nextBoolean();
                boolean state = random.nextBoolean();
                boolean packed = random.nextBoolean();
                long content = random.nextLong();
                List<Tensor> expected = run(COMPOSED, sizes, bias, state, packed, new Random(content));
                List<Tensor> actual = run(FUSED, sizes, bias, state, packed, new Random(content));
                assertThat(actual).hasSameSizeAs(expected);
                for (int result = 0; result < expected.size(); result++) {
                    String what = "seed " + seed + " #" + i + " result " + result;
                    Golden.assertRelativelyClose(what, actual.get(result), expected.get(result), 2e-5);
                }
            }
        });
    }

    /** y, the last state and the gradients of all leaves; x is a column block of a wider tensor. */
    private static List<Tensor> run(
            CausalConv conv, long[] sizes, boolean withBias, boolean withState, boolean packed, Random random) {
        long b = sizes[0];
        long l = sizes[1];
        long d = sizes[2];
        long k = sizes[3];
        Tensor xz = leaf(random, b, l, 2 * d);
        Tensor weight = leaf(random, d, 1, k);
        Tensor bias = leaf(random, d);
        Tensor state = leaf(random, b, d, k - 1);
        SequenceOutput out = conv.apply(
                new ConvInputs(
                        xz.split(d, 2).get(0),
                        weight,
                        withBias ? bias : Tensors.absent(),
                        withState ? state : Tensors.absent(),
                        packed ? flags(random, b, l) : Tensors.absent()),
                true);
        backward(out.y(), random(random, b, l, d));
        List<Tensor> results = new ArrayList<>(List.of(out.y(), out.lastState(), xz.grad(), weight.grad()));
        for (Tensor optional : List.of(bias, state)) {
            if (optional.grad().defined()) {
                results.add(optional.grad());
            }
        }
        return results;
    }

    @Test
    void aSequenceMayBeCutAnywhere() {
        TensorScope.run(() -> {
            Random random = new Random(3);
            Tensor x = random(random, 2, 7, 5);
            Tensor weight = random(random, 5, 1, 4);
            Tensor bias = random(random, 5);
            for (CausalConv conv : List.of(COMPOSED, FUSED)) {
                SequenceOutput whole = conv.apply(new ConvInputs(x, weight, bias, Tensors.absent()), true);
                Tensor state = Tensors.absent();
                for (int[] cut : new int[][] {{0, 1}, {1, 2}, {3, 0}, {3, 4}}) {
                    SequenceOutput part =
                            conv.apply(new ConvInputs(x.narrow(1, cut[0], cut[1]), weight, bias, state), true);
                    Golden.assertClose("y", part.y(), whole.y().narrow(1, cut[0], cut[1]), 1e-6);
                    state = part.lastState();
                }
                Golden.assertClose("state", state, whole.lastState(), 0);
            }
        });
    }
}
