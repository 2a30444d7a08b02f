package org.mamba4j.torch.fidelity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.UserError;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemoryProbe;

/**
 * How a trained selective state space moves while it reads one text.
 *
 * <p>A layer is a bundle of leaky pipes, h_t = exp(Δ_t A) h_(t-1) + Δ_t B_t u_t, y_t = C_t h_t [1]. A is the main pipe: it
 * is fixed, and 1 / |A| says over how much Δ a number fades. Δ is the valve: a token that opens it wide washes the old out
 * and writes itself in; one that keeps it shut passes almost unseen. B and C decide what of a token is written and what a
 * later one reads: what was written along B_s is seen by C_t as far as the two point the same way. All four together are
 * the impulse response, which in a selective layer is another for every token; the same layer with Δ, B and C frozen at
 * their means has one response for all, the kernel of a time-invariant state space [2], and shows what selection changes.
 *
 * <p>Everything is measured on the recurrence alone: convolution, gate and what notes add are left out.
 *
 * <p>[1] A. Gu, T. Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces. arXiv 2312.00752, section 3. [2] A.
 * Gu, A. Gupta, K. Goel, C. Ré: On the Parameterization and Initialization of Diagonal State Space Models. arXiv 2206.11893.
 *
 * @param lags k of everything that is given by lag, rising from 0
 * @param layers from the first on
 */
public record Dynamics(List<Integer> lags, List<Layer> layers) {
    /** Rows and columns of {@link Layer#alignmentMap}, if the text has as many tokens. */
    public static final int MAP_SIZE = 64;

    private static final int LEAST_LENGTH = 16;

    /** Of the tokens, as many open the valve widest, and as many least. */
    private static final double TAIL = 0.1;

    /** Tokens of a group that impulse responses are averaged over, at most. */
    private static final int MOST_PLACES = 48;

    /**
     * One layer.
     *
     * @param pipe 1 / |A| over all channels and states, in Δ
     * @param tokenScales 1 / (|A| · mean Δ of the channel), in tokens of this text
     * @param valve mean Δ over channels, by token
     * @param halfLives of what each token wrote, in tokens; infinite where the text ended before. See {@link Survival}
     * @param alignment mean cosine between C of a token and B of the token k before, by lag
     * @param alignmentMap mean cosine between C (row) and B (column) of two pieces of the text
     * @param responses impulse responses
     */
    public record Layer(
            TimeScales pipe,
            TimeScales tokenScales,
            List<Double> valve,
            List<Double> halfLives,
            List<Double> alignment,
            List<List<Double>> alignmentMap,
            Responses responses) {}

    /**
     * Mean size over channels of what an input of 1 adds to the output k tokens later, by lag.
     *
     * @param open from the tenth of the tokens that open the valve widest
     * @param typical from tokens in the middle
     * @param shut from the tenth that keep it most shut
     * @param frozen of the time-invariant layer with the mean Δ of each channel and the mean B and C
     */
    public record Responses(List<Double> open, List<Double> typical, List<Double> shut, List<Double> frozen) {}

    /**
     * Studies a network while it reads a text from the beginning.
     *
     * @param tokens at least {@value #LEAST_LENGTH}
     * @param progress told the fraction of the work done, in (0, 1]
     * @throws UserError if the text is too short, or the network has no selective layers
     */
    public static Dynamics of(LanguageNetwork network, int[] tokens, DoubleConsumer progress) {
        if (tokens.length < LEAST_LENGTH) {
            throw new UserError("a text of " + tokens.length + " tokens is too short to study: give at least "
                    + LEAST_LENGTH + " tokens");
        }
        MemoryProbe.stack(network);
        List<Integer> lags = lags(tokens.length);
        return NoGrad.call(() -> TensorScope.call(() -> {
            MemoryProbe probe = MemoryProbe.of(network, Tensors.ofTokens(tokens, 0, 1, tokens.length));
            List<Layer> layers = new ArrayList<>();
            for (MemoryProbe.Layer layer : probe.layers()) {
                layers.add(TensorScope.call(() -> layer(layer, lags)));
                progress.accept((double) layers.size() / probe.layers().size());
            }
            return new Dynamics(lags, List.copyOf(layers));
        }));
    }

    /** 0, 1, 2, 3, 4, 6, 8, 12, … up to half of the length. */
    static List<Integer> lags(int length) {
        List<Integer> lags = new ArrayList<>(List.of(0, 1));
        for (int lag = 2; lag <= length / 2; lag *= 2) {
            lags.add(lag);
            if (lag + lag / 2 <= length / 2) {
                lags.add(lag + lag / 2);
            }
        }
        return List.copyOf(lags);
    }

    static Layer layer(MemoryProbe.Layer layer, List<Integer> lags) {
        Tensor steps = layer.steps().select(0, 0); // (L, D)
        Tensor b = layer.b().select(0, 0); // (L, N)
        Tensor c = layer.c().select(0, 0); // (L, N)
        int length = Math.toIntExact(steps.size(0));
        Tensor meanSteps = steps.mean(new long[] {0}); // (D)
        List<Double> valve = doubles(steps.mean(new long[] {1}));
        float[] a = Tensors.toFloats(layer.a());
        double[] halfLives = Survival.halfLives(Tensors.toFloats(steps), Tensors.toFloats(b), a, length);
        Tensor written = torch.normalize(b); // (L, N), each of length 1
        Tensor read = torch.normalize(c);
        return new Layer(
                TimeScales.of(inverses(a)),
                TimeScales.of(inverses(Tensors.toFloats(layer.a().mul(meanSteps.unsqueeze(1))))),
                valve,
                Arrays.stream(halfLives).boxed().toList(),
                alignment(read, written, lags),
                map(read, written),
                responses(layer, lags, valve, meanSteps));
    }

    private static double[] inverses(float[] negative) {
        return IntStream.range(0, negative.length)
                .mapToDouble(i -> -1.0 / negative[i])
                .toArray();
    }

    private static List<Double> alignment(Tensor read, Tensor written, List<Integer> lags) {
        TensorVector means = new TensorVector();
        long length = read.size(0);
        for (int lag : lags) {
            Tensor now = read.narrow(0, lag, length - lag); // (L - k, N)
            Tensor then = written.narrow(0, 0, length - lag);
            means.push_back(now.mul(then).sum(new long[] {1}).mean());
        }
        return doubles(torch.stack(means));
    }

    /** The mean of products over two pieces is the product of their means. */
    private static List<List<Double>> map(Tensor read, Tensor written) {
        Tensor rows = pieces(read); // (M, N)
        float[] cosines = Tensors.toFloats(rows.matmul(pieces(written).t())); // (M, M)
        int size = Math.toIntExact(rows.size(0));
        List<List<Double>> map = new ArrayList<>();
        for (int row = 0; row < size; row++) {
            List<Double> line = new ArrayList<>();
            for (int column = 0; column <= row; column++) {
                line.add((double) cosines[row * size + column]);
            }
            map.add(List.copyOf(line));
        }
        return List.copyOf(map);
    }

    /** (L, N) → (M, N): the mean of each of M pieces. */
    private static Tensor pieces(Tensor vectors) {
        long length = vectors.size(0);
        int count = (int) Math.min(MAP_SIZE, length);
        TensorVector means = new TensorVector();
        for (int i = 0; i < count; i++) {
            long from = i * length / count;
            means.push_back(
                    vectors.narrow(0, from, (i + 1) * length / count - from).mean(new long[] {0}));
        }
        return torch.stack(means);
    }

    private static Responses responses(
            MemoryProbe.Layer layer, List<Integer> lags, List<Double> valve, Tensor meanSteps) {
        int origins = valve.size() - lags.getLast(); // later ones see too little of what follows
        int[] byValve = IntStream.range(0, origins)
                .boxed()
                .sorted(Comparator.comparing(valve::get))
                .mapToInt(Integer::intValue)
                .toArray();
        int tail = Math.max(1, (int) (TAIL * origins));
        Tensor passed = Decay.passed(layer);
        int middle = Math.max(0, origins / 2 - tail / 2);
        return new Responses(
                response(layer, lags, passed, Arrays.copyOfRange(byValve, origins - tail, origins)),
                response(layer, lags, passed, Arrays.copyOfRange(byValve, middle, middle + tail)),
                response(layer, lags, passed, Arrays.copyOf(byValve, tail)),
                frozen(layer, lags, meanSteps));
    }

    private static List<Double> response(MemoryProbe.Layer layer, List<Integer> lags, Tensor passed, int[] origins) {
        int[] some = IntStream.range(0, Math.min(MOST_PLACES, origins.length))
                .map(i -> origins[(int) ((long) i * origins.length / Math.min(MOST_PLACES, origins.length))])
                .toArray();
        List<Double> response = new ArrayList<>();
        for (int lag : lags) {
            response.add(TensorScope.call(() -> (double) Decay.carried(layer, passed, some, Decay.shifted(some, lag))
                    .mean()
                    .item_float()));
        }
        return List.copyOf(response);
    }

    private static List<Double> frozen(MemoryProbe.Layer layer, List<Integer> lags, Tensor meanSteps) {
        Tensor read = layer.c()
                .select(0, 0)
                .mean(new long[] {0})
                .mul(layer.b().select(0, 0).mean(new long[] {0})); // (N)
        Tensor decay = layer.a().mul(meanSteps.unsqueeze(1)); // (D, N)
        List<Double> kernel = new ArrayList<>();
        for (int lag : lags) {
            kernel.add(TensorScope.call(() -> (double) decay.mul(new Scalar((float) lag))
                    .exp()
                    .mul(read)
                    .sum(new long[] {1})
                    .abs()
                    .mul(meanSteps)
                    .mean()
                    .item_float()));
        }
        return List.copyOf(kernel);
    }

    private static List<Double> doubles(Tensor vector) {
        float[] values = Tensors.toFloats(vector);
        return IntStream.range(0, values.length)
                .mapToObj(i -> (double) values[i])
                .toList();
    }
}
