package org.mamba4j.inference;

import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.stream.DoubleStream;
import org.mamba4j.UserError;

/**
 * Chooses the next token from a model's logits.
 *
 * <p>The filters work in this order, each on what the one before left:
 *
 * <ol>
 *   <li>repetition penalty on the logits of tokens told to {@link #observe} (Keskar et al. 2019, arXiv 1909.05858);
 *   <li>temperature 0: the most likely token, and nothing further; otherwise logits are divided by the temperature;
 *   <li>top-k;
 *   <li>top-p on the probabilities renormalised over those k (Holtzman et al. 2019, arXiv 1904.09751);
 *   <li>min-p relative to the most likely token (Nguyen et al. 2024, arXiv 2407.01082);
 *   <li>one draw from what is left, renormalised.
 * </ol>
 *
 * <p>Top-k, top-p and min-p all keep a prefix of the tokens in descending order, so one heap of all candidates, from
 * which only that prefix is taken, serves the three: O(V + k log V) instead of a sort. Of equally likely tokens the one
 * with the smaller id comes first; so a tie at the border of a filter, or in a greedy choice, has one answer.
 *
 * <p>Not thread-safe: it holds the random state and the tokens seen of one sequence.
 */
public final class Sampler {
    private final SamplingOptions options;
    private final SplittableRandom random;
    private final BitSet seen = new BitSet();

    public Sampler(SamplingOptions options) {
        this.options = options;
        this.random = new SplittableRandom(options.seed());
    }

    /** Makes {@code token} one that the repetition penalty applies to. */
    public void observe(int token) {
        seen.set(token);
    }

    /**
     * Chooses a token.
     *
     * @param logits (V), not modified; -∞ rules a token out
     * @return a token id in [0, V)
     * @throws UserError if a logit is NaN or +∞, or all are -∞: the model is damaged or its training diverged
     */
    public int sample(float[] logits) {
        check(logits);
        float[] scores = penalised(logits);
        int best = argmax(scores);
        if (options.temperature() == 0) {
            return best;
        }
        double[] weights = weights(scores, scores[best]);
        boolean unfiltered = options.topK() == 0 && options.topP() == 1 && options.minP() == 0;
        return unfiltered ? drawFromAll(weights) : drawFromMostLikely(scores, weights);
    }

    private static void check(float[] logits) {
        if (Logits.greatest(logits) == Float.NEGATIVE_INFINITY) {
            throw new UserError("no token is possible: all " + logits.length + " logits are -Infinity");
        }
    }

    private float[] penalised(float[] logits) {
        double penalty = options.repetitionPenalty();
        if (penalty == 1 || seen.isEmpty()) {
            return logits;
        }
        float[] scores = logits.clone();
        for (int token = seen.nextSetBit(0); token >= 0 && token < scores.length; token = seen.nextSetBit(token + 1)) {
            if (scores[token] != Float.NEGATIVE_INFINITY) {
                double changed = scores[token] > 0 ? scores[token] / penalty : scores[token] * penalty;
                scores[token] = (float) Math.clamp(changed, -Float.MAX_VALUE, Float.MAX_VALUE);
            }
        }
        return scores;
    }

    /** The first of the greatest. */
    private static int argmax(float[] scores) {
        int best = 0;
        for (int token = 1; token < scores.length; token++) {
            if (scores[token] > scores[best]) {
                best = token;
            }
        }
        return best;
    }

    /** Probabilities up to a common factor; that of the most likely token is 1, so a tiny temperature cannot overflow. */
    private double[] weights(float[] scores, float greatest) {
        double[] weights = new double[scores.length];
        for (int token = 0; token < scores.length; token++) {
            // The difference first: of equal scores it is 0 even where the division would overflow to an infinity.
            double below = (double) scores[token] - greatest;
            weights[token] = below == 0 ? 1 : Math.exp(below / options.temperature());
        }
        return weights;
    }

    private int drawFromAll(double[] weights) {
        double total = 0;
        for (double weight : weights) {
            total += weight;
        }
        double left = random.nextDouble() * total;
        int last = 0;
        for (int token = 0; token < weights.length; token++) {
            if (weights[token] > 0) {
                last = token;
                left -= weights[token];
                if (left < 0) {
                    return token;
                }
            }
        }
        return last; // rounding of the running sum
    }

    private int drawFromMostLikely(float[] scores, double[] weights) {
        Ranking ranking = new Ranking(scores);
        int most = options.topK() == 0 ? scores.length : Math.min(options.topK(), scores.length);
        double mass = options.topK() == 0 ? DoubleStream.of(weights).sum() : 0;
        for (int rank = 0; options.topK() > 0 && rank < most; rank++) {
            mass += weights[ranking.token(rank)];
        }
        // At topP 1 the sum may fall short of the mass, or reach it early, by rounding: then it does not decide.
        double enough = options.topP() == 1 ? Double.POSITIVE_INFINITY : options.topP() * mass;
        double least = Math.max(options.minP(), Double.MIN_VALUE);
        double kept = 0;
        int count = 0;
        do {
            kept += weights[ranking.token(count++)];
        } while (count < most && kept < enough && weights[ranking.token(count)] >= least);

        double left = random.nextDouble() * kept;
        for (int rank = 0; rank < count; rank++) {
            left -= weights[ranking.token(rank)];
            if (left < 0) {
                return ranking.token(rank);
            }
        }
        return ranking.token(count - 1); // rounding of the running sum
    }

    /**
     * Token ids by descending score, the smaller id first among equals: a heapsort that stops as soon as no further
     * rank is asked for. The heap is at the front of the array, the ranks taken so far at its end, backwards.
     */
    private static final class Ranking {
        private final float[] scores;
        private final int[] heap;
        private int size;

        Ranking(float[] scores) {
            this.scores = scores;
            this.size = scores.length;
            this.heap = new int[size];
            for (int i = 0; i < size; i++) {
                heap[i] = i;
            }
            for (int i = size / 2 - 1; i >= 0; i--) {
                sink(i, heap[i]);
            }
        }

        int token(int rank) {
            int place = heap.length - 1 - rank;
            while (size > place) {
                int first = heap[0];
                size--;
                sink(0, heap[size]);
                heap[size] = first;
            }
            return heap[place];
        }

        private void sink(int place, int token) {
            int parent = place;
            for (int child = 2 * parent + 1; child < size; child = 2 * parent + 1) {
                if (child + 1 < size && before(heap[child + 1], heap[child])) {
                    child++;
                }
                if (!before(heap[child], token)) {
                    break;
                }
                heap[parent] = heap[child];
                parent = child;
            }
            heap[parent] = token;
        }

        private boolean before(int a, int b) {
            return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
        }
    }
}
