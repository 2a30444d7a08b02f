package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.inference.Requests;
import org.mamba4j.torch.Devices;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.Torch;

/**
 * Draws many sequences from a model's own distribution, side by side: for families with a state of constant size that have
 * no decoder of their own. What is drawn stays on the device; the host looks now and then whether all have ended.
 *
 * <p>A draw takes one random number per sequence and step, by inversion of the cumulated probabilities, so the numbers are
 * the same on every device.
 */
public final class BatchDrawing {
    /** Steps between two looks at whether there is anything left to do. */
    private static final int STEPS_AT_ONCE = 256;

    private final LanguageNetwork network;

    /** @param network not to be trained meanwhile */
    public BatchDrawing(LanguageNetwork network) {
        this.network = network;
    }

    /**
     * Continues each first token.
     *
     * @param first tokens (B)
     * @param most tokens that are drawn for each at most
     * @param temperature logits are divided by it, above 0
     * @param end token that ends a sequence
     * @return the tokens after each first one, without the end
     */
    public List<int[]> draw(int[] first, int most, double temperature, int end, long seed) {
        Requests.checkTokens(first, network.config().vocabSize());
        SplittableRandom random = new SplittableRandom(seed);
        int[][] drawn = new int[first.length][most];
        int done = 0;
        try (BatchCarry carry = new BatchCarry(0)) {
            Devices.use(network.kernels().device());
            int[] last = first;
            while (done < most && (done == 0 || !allHaveEnded(drawn, done, end))) {
                int count = Math.min(STEPS_AT_ONCE, most - done);
                int[] from = last;
                long[] some = NoGrad.call(() -> TensorScope.call(() -> steps(from, count, temperature, random, carry)));
                for (int row = 0; row < first.length; row++) {
                    for (int i = 0; i < count; i++) {
                        drawn[row][done + i] = (int) some[row * count + i];
                    }
                }
                done += count;
                int at = done - 1;
                last = Arrays.stream(drawn).mapToInt(row -> row[at]).toArray();
            }
        } catch (RuntimeException e) {
            throw Torch.translate("drawing " + first.length + " sequences", e);
        }
        List<int[]> all = new ArrayList<>();
        for (int[] row : drawn) {
            all.add(Arrays.copyOf(row, length(row, done, end)));
        }
        return all;
    }

    private static int length(int[] row, int drawn, int end) {
        int length = 0;
        while (length < drawn && row[length] != end) {
            length++;
        }
        return length;
    }

    private static boolean allHaveEnded(int[][] drawn, int done, int end) {
        return Arrays.stream(drawn).allMatch(row -> length(row, done, end) < done);
    }

    /** @return (B, count) */
    private long[] steps(int[] first, int count, double temperature, SplittableRandom random, BatchCarry carry) {
        int rows = first.length;
        float[] chances = new float[count * rows];
        for (int i = 0; i < chances.length; i++) {
            chances[i] = (float) random.nextDouble();
        }
        Tensor uniform = network.here(Tensors.of(chances, count, rows, 1)); // (count, B, 1)
        Tensor drawn = Tensors.emptyLike(uniform, ScalarType.Long, rows, count); // (B, count)
        drawn.narrow(1, 0, 1).copy_(Tensors.ofTokens(first, 0, rows, 1));
        for (int i = 0; i < count; i++) {
            int step = i;
            TensorScope.run(() -> {
                Tensor token = drawn.narrow(1, Math.max(0, step - 1), 1); // (B, 1)
                Tensor next = next(token, uniform.select(0, step), temperature, carry); // (B, 1)
                drawn.narrow(1, step, 1).copy_(next);
            });
        }
        return Tensors.toLongs(drawn);
    }

    /** Reads a token of each sequence and draws the next: (B, 1) → (B, 1). */
    private Tensor next(Tensor token, Tensor uniform, double temperature, BatchCarry carry) {
        Tensor hidden = network.hidden(token, carry, each -> {}); // (B, 1, d)
        carry.commit(1);
        Tensor cumulated = network.logits(hidden)
                .select(1, 0)
                .to(ScalarType.Float)
                .div(new Scalar(temperature))
                .softmax(1)
                .cumsum(1); // (B, V)
        Tensor total = cumulated.narrow(1, cumulated.size(1) - 1, 1); // (B, 1), 1 but for rounding
        return cumulated.lt(uniform.mul(total)).sum(1).unsqueeze(1);
    }
}
