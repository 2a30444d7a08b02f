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
 * Draws many sequences from a model's own distribution, side by side: for families with a state of constant size, where
 * not every token is the model's to choose ({@link Rules}), or that have no decoder of their own. What is drawn stays on the device; the host looks now and then whether all have ended.
 *
 * <p>A draw takes one random number per sequence and step, by inversion of the cumulated probabilities, so the numbers are
 * the same on every device.
 */
public final class BatchDrawing {
    /** Steps between two looks at whether there is anything left to do. */
    private static final int STEPS_AT_ONCE = 256;

    private final LanguageNetwork network;

    /**
     * What is left to the model, and what is not.
     *
     * @param choices tokens that may be drawn, the end among them: others are as if the model held them for impossible
     * @param end token that ends a sequence
     * @param period each sequence's first token is put in again at this place, at twice that, and so on, unasked
     */
    public record Rules(List<Integer> choices, int end, int period) {
        /** @throws IllegalArgumentException if the end cannot be drawn, or the first token is all that there would be */
        public Rules {
            choices = List.copyOf(choices);
            if (!choices.contains(end) || period < 2) {
                throw new IllegalArgumentException(
                        "the end " + end + " among " + choices + ", first token every " + period);
            }
        }
    }

    /** @param network not to be trained meanwhile */
    public BatchDrawing(LanguageNetwork network) {
        this.network = network;
    }

    /**
     * Continues each first token.
     *
     * @param first tokens (B)
     * @param most tokens of a sequence at most, the first included, at least 1
     * @param temperature logits are divided by it, above 0
     * @return the sequences, each from its first token on, without the end
     */
    public List<int[]> draw(int[] first, int most, double temperature, Rules rules, long seed) {
        int vocabulary = network.config().vocabSize();
        Requests.checkTokens(first, vocabulary);
        Requests.checkTokens(choices(rules), vocabulary);
        SplittableRandom random = new SplittableRandom(seed);
        int[][] drawn = new int[first.length][most];
        for (int row = 0; row < first.length; row++) {
            drawn[row][0] = first[row];
        }
        int done = 1;
        try (BatchCarry carry = new BatchCarry(0)) {
            Devices.use(network.kernels().device());
            while (done < most && !allHaveEnded(drawn, done, rules.end())) {
                int count = Math.min(STEPS_AT_ONCE, most - done);
                Reading reading = new Reading(List.of(drawn), done, temperature, rules, carry);
                long[] some = NoGrad.call(() -> TensorScope.call(() -> steps(reading, count, random)));
                for (int row = 0; row < first.length; row++) {
                    for (int i = 0; i < count; i++) {
                        drawn[row][done + i] = (int) some[row * count + i];
                    }
                }
                done += count;
            }
        } catch (RuntimeException e) {
            throw Torch.translate("drawing " + first.length + " sequences", e);
        }
        List<int[]> all = new ArrayList<>();
        for (int[] row : drawn) {
            all.add(Arrays.copyOf(row, length(row, done, rules.end())));
        }
        return all;
    }

    private static int[] choices(Rules rules) {
        return rules.choices().stream().mapToInt(Integer::intValue).toArray();
    }

    private static int length(int[] row, int drawn, int end) {
        int length = 1;
        while (length < drawn && row[length] != end) {
            length++;
        }
        return length;
    }

    private static boolean allHaveEnded(int[][] drawn, int done, int end) {
        return Arrays.stream(drawn).allMatch(row -> length(row, done, end) < done);
    }

    /**
     * Where the sequences stand.
     *
     * @param drawn tokens, B times (most)
     * @param done how many of each are known
     * @param carry that has read all of those but the last
     */
    private record Reading(List<int[]> drawn, int done, double temperature, Rules rules, BatchCarry carry) {
        int[] column(int at) {
            return drawn.stream().mapToInt(row -> row[at]).toArray();
        }
    }

    /** @return the next tokens (B, count) */
    private long[] steps(Reading reading, int count, SplittableRandom random) {
        int rows = reading.drawn().size();
        float[] chances = new float[count * rows];
        for (int i = 0; i < chances.length; i++) {
            chances[i] = (float) random.nextDouble();
        }
        Tensor uniform = network.here(Tensors.of(chances, count, rows, 1)); // (count, B, 1)
        Tensor choices = ids(choices(reading.rules())).view(-1); // (A)
        Tensor first = ids(reading.column(0)); // (B, 1)
        Tensor drawn = Tensors.emptyLike(uniform, ScalarType.Long, rows, 1 + count); // (B, 1 + count)
        drawn.narrow(1, 0, 1).copy_(ids(reading.column(reading.done() - 1)));
        for (int i = 0; i < count; i++) {
            int step = i;
            TensorScope.run(() -> {
                Tensor hidden = network.hidden(drawn.narrow(1, step, 1), reading.carry(), each -> {}); // (B, 1, d)
                reading.carry().commit(1);
                Tensor next = (reading.done() + step) % reading.rules().period() == 0
                        ? first
                        : drawn(hidden, choices, uniform.select(0, step), reading.temperature()); // (B, 1)
                drawn.narrow(1, step + 1, 1).copy_(next);
            });
        }
        return Tensors.toLongs(drawn.narrow(1, 1, count));
    }

    private Tensor ids(int[] tokens) {
        return network.here(Tensors.ofTokens(tokens, 0, tokens.length, 1));
    }

    /** Draws one of the choices for each sequence: (B, 1, d) → (B, 1). */
    private Tensor drawn(Tensor hidden, Tensor choices, Tensor uniform, double temperature) {
        Tensor cumulated = network.logits(hidden)
                .select(1, 0)
                .to(ScalarType.Float)
                .index_select(1, choices)
                .div(new Scalar(temperature))
                .softmax(1)
                .cumsum(1); // (B, A)
        Tensor total = cumulated.narrow(1, cumulated.size(1) - 1, 1); // (B, 1), 1 but for rounding
        return choices.index_select(0, cumulated.lt(uniform.mul(total)).sum(1)).unsqueeze(1);
    }
}
