package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
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
 * not every token is the model's to choose ({@link Rules}), or that have no decoder of their own. What is drawn stays on the
 * device; the host looks now and then whether all have ended.
 *
 * <p>A draw takes one random number per sequence and step, by inversion of the cumulated probabilities, so the numbers are
 * the same on every device.
 *
 * <p>Guidance without a classifier [1], of language models [2]. A sequence asked for by its first token c may follow it but
 * weakly: each step hears c a little, and what is drawn weighs more. A model that has also learnt sequences without c, from
 * a token that stands in its place and asks for nothing, knows by Bayes' rule how much each next token x speaks for c:
 * p(c | x) ∝ p(x | c) / p(x). With guidance g, x is drawn from p(x | c) · (p(x | c) / p(x))^g, in logits
 * ℓ(c) + g · (ℓ(c) − ℓ()): at 0 from the model's own distribution, above it rather what could not be taken for anything
 * else, at the cost of variety. Temperature divides the sum. Normalisation drops out, so logits serve as log-probabilities.
 * A second row for every sequence reads the same draws with the other token, so rows and their state double; nothing is read
 * twice where g is 0. The step-wise correction is that of the papers: it is not the distribution of whole sequences that the
 * formula, applied to them, would give.
 *
 * <p>References: [1] J. Ho, T. Salimans: Classifier-Free Diffusion Guidance, arXiv 2207.12598; its w is g here. [2] G.
 * Sanchez et al.: Stay on topic with Classifier-Free Guidance, arXiv 2306.17806; its γ is 1 + g.
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
     * @param guidance how much more than the model does by itself a sequence follows its first token (g): 0 for no more
     * @param unguided token that stands for the first one where nothing is asked for; read only if there is guidance
     */
    public record Rules(List<Integer> choices, int end, int period, double guidance, int unguided) {
        /**
         * @throws IllegalArgumentException if the end cannot be drawn, the first token is all that there would be, or
         *     guidance is no number from 0 on
         */
        public Rules {
            choices = List.copyOf(choices);
            if (!choices.contains(end) || period < 2) {
                throw new IllegalArgumentException(
                        "the end " + end + " among " + choices + ", first token every " + period);
            }
            if (!(guidance >= 0) || Double.isInfinite(guidance)) {
                throw new IllegalArgumentException("guidance of " + guidance);
            }
        }

        private boolean areGuided() {
            return guidance > 0;
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
        Requests.checkTokens(new int[] {rules.unguided()}, vocabulary);
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
     * @param carry that has read all of those but the last, of R rows: the sequences (B), and with guidance those without
     *     their first tokens after them (2 B)
     */
    private record Reading(List<int[]> drawn, int done, double temperature, Rules rules, BatchCarry carry) {
        /** A token of every row that is read (R). */
        int[] column(int at) {
            IntStream asked = drawn.stream().mapToInt(row -> row[at]);
            if (!rules.areGuided()) {
                return asked.toArray();
            }
            IntStream unguided = drawn.stream().mapToInt(row -> isGiven(at) ? rules.unguided() : row[at]);
            return IntStream.concat(asked, unguided).toArray();
        }

        /** Whether the first token stands at a place. */
        boolean isGiven(int place) {
            return place % rules.period() == 0;
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
        Tensor first = ids(reading.column(0)); // (R, 1)
        Tensor drawn = Tensors.emptyLike(uniform, ScalarType.Long, first.size(0), 1 + count); // (R, 1 + count)
        drawn.narrow(1, 0, 1).copy_(ids(reading.column(reading.done() - 1)));
        for (int i = 0; i < count; i++) {
            int step = i;
            TensorScope.run(() -> {
                Tensor hidden = network.hidden(drawn.narrow(1, step, 1), reading.carry(), each -> {}); // (R, 1, d)
                reading.carry().commit(1);
                Tensor next = reading.isGiven(reading.done() + step)
                        ? first
                        : drawn(hidden, choices, uniform.select(0, step), reading); // (R, 1)
                drawn.narrow(1, step + 1, 1).copy_(next);
            });
        }
        return Tensors.toLongs(drawn.narrow(0, 0, rows).narrow(1, 1, count));
    }

    private Tensor ids(int[] tokens) {
        return network.here(Tensors.ofTokens(tokens, 0, tokens.length, 1));
    }

    /** Draws one of the choices for each sequence, the same for both of its rows: (R, 1, d) → (R, 1). */
    private Tensor drawn(Tensor hidden, Tensor choices, Tensor uniform, Reading reading) {
        boolean guided = reading.rules().areGuided();
        Tensor logits = network.logits(hidden).select(1, 0).to(ScalarType.Float).index_select(1, choices); // (R, A)
        Tensor cumulated = (guided ? guided(logits, reading.rules().guidance()) : logits)
                .div(new Scalar(reading.temperature()))
                .softmax(1)
                .cumsum(1); // (B, A)
        Tensor total = cumulated.narrow(1, cumulated.size(1) - 1, 1); // (B, 1), 1 but for rounding
        Tensor next =
                choices.index_select(0, cumulated.lt(uniform.mul(total)).sum(1)).unsqueeze(1); // (B, 1)
        return guided ? next.repeat(2, 1) : next;
    }

    /** (2 B, A) → (B, A). */
    private static Tensor guided(Tensor logits, double guidance) {
        long rows = logits.size(0) / 2;
        Tensor asked = logits.narrow(0, 0, rows); // (B, A)
        return asked.add(asked.sub(logits.narrow(0, rows, rows)).mul(new Scalar(guidance)));
    }
}
