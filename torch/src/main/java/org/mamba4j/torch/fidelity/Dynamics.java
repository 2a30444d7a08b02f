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
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.torch.ComplexTensors;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.LayerView;
import org.mamba4j.torch.nn.LayerView.Recurrence;

/**
 * How a trained state space moves while it reads one text.
 *
 * <p>A layer is a bundle of leaky pipes, h_t = exp(Δ_t A) h_(t-1) + Δ_t B_t u_t, y_t = C_t h_t [1]. A is the main pipe: it
 * is fixed, and 1 / |A| says over how much Δ a number fades. Δ is the valve: a token that opens it wide washes the old out
 * and writes itself in; one that keeps it shut passes almost unseen. B and C decide what of a token is written and what a
 * later one reads: what was written along B_s is seen by C_t as far as the two point the same way. All four together are
 * the impulse response, which in a selective layer is another for every token; the same layer with Δ, B and C frozen at
 * their means has one response for all, the kernel of a time-invariant state space [2], and shows what selection changes.
 *
 * <p>S4, S4D and Hyena have no valve: what a token leaves behind is the same kernel for every token, and is shown as that,
 * with the time scales of its modes. An S6 of which nothing is selective is one of them.
 *
 * <p>Everything is measured on what carries along the sequence alone: convolution, gate and what notes add are left out.
 *
 * <p>[1] A. Gu, T. Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces. arXiv 2312.00752, section 3. [2] A.
 * Gu, A. Gupta, K. Goel, C. Ré: On the Parameterization and Initialization of Diagonal State Space Models. arXiv 2206.11893.
 *
 * @param lags k of everything that is given by lag, rising from 0
 * @param layers from the first on
 */
public record Dynamics(List<Integer> lags, List<Layer> layers) {
    /** Rows and columns of {@link Selective#alignmentMap}, if the text has as many tokens. */
    public static final int MAP_SIZE = 64;

    private static final int LEAST_LENGTH = 16;

    /** Of the tokens, as many open the valve widest, and as many least. */
    private static final double TAIL = 0.1;

    /** Tokens of a group that impulse responses are averaged over, at most. */
    private static final int MOST_PLACES = 48;

    /** One layer. */
    public sealed interface Layer {
        /** 1 / |Re A| over all channels and modes, in Δ; empty where there is no A. */
        TimeScales pipe();

        /** The same in tokens of this text. */
        TimeScales tokenScales();
    }

    /**
     * A layer that treats tokens differently.
     *
     * @param pipe 1 / |Re A|
     * @param tokenScales 1 / (|Re A| · mean Δ of the channel)
     * @param valve mean Δ over channels, by token
     * @param halfLives of what each token wrote, in tokens; infinite where the text ended before. See {@link Survival}
     * @param alignment mean cosine between C of a token and B of the token k before, by lag; empty where
     *     neither is of the token
     * @param alignmentMap mean cosine between C (row) and B (column) of two pieces of the text; likewise
     * @param responses impulse responses
     */
    public record Selective(
            TimeScales pipe,
            TimeScales tokenScales,
            List<Double> valve,
            List<Double> halfLives,
            List<Double> alignment,
            List<List<Double>> alignmentMap,
            Responses responses)
            implements Layer {
        /** Whether Δ differs between tokens. */
        public boolean hasValve() {
            return valve.stream().anyMatch(step -> Math.abs(step - valve.getFirst()) > 1e-6 * valve.getFirst());
        }
    }

    /**
     * A layer that treats all tokens alike.
     *
     * @param pipe 1 / |Re A|
     * @param tokenScales what fades to 1 / e within so many tokens; of Hyena, the window's part of it
     * @param kernel what its kernel does
     */
    public record Invariant(TimeScales pipe, TimeScales tokenScales, KernelShape kernel) implements Layer {}

    /**
     * Mean size over channels of what an input of 1 adds to the output k tokens later, by lag.
     *
     * @param open from the tenth of the tokens that open the valve widest
     * @param typical from tokens in the middle
     * @param shut from the tenth that keep it most shut
     * @param frozen of the time-invariant layer with the mean Δ of each channel and the mean B and C
     */
    public record Responses(List<Double> open, List<Double> typical, List<Double> shut, List<Double> frozen) {}

    /** Its layers that treat tokens differently: all, none, or those of a hybrid that do. */
    public List<Selective> selective() {
        return layers.stream()
                .filter(Selective.class::isInstance)
                .map(Selective.class::cast)
                .toList();
    }

    /** Its layers that treat all tokens alike: all, none, or those of a hybrid that do. */
    public List<Invariant> invariant() {
        return layers.stream()
                .filter(Invariant.class::isInstance)
                .map(Invariant.class::cast)
                .toList();
    }

    /**
     * Studies a network while it reads a text from the beginning.
     *
     * @param tokens at least {@value #LEAST_LENGTH}
     * @param progress told the fraction of the work done, in (0, 1]
     * @throws UserError if the text is too short, or the network is of a family that has no such layers
     */
    public static Dynamics of(LanguageNetwork network, int[] tokens, DoubleConsumer progress) {
        if (tokens.length < LEAST_LENGTH) {
            throw new UserError("a text of " + tokens.length + " tokens is too short to study: give at least "
                    + LEAST_LENGTH + " tokens");
        }
        LayerView.check(network);
        List<Integer> lags = lags(tokens.length);
        return NoGrad.call(() -> TensorScope.call(() -> {
            List<LayerView> views = LayerView.of(network, Tensors.ofTokens(tokens, 0, 1, tokens.length));
            List<Layer> layers = new ArrayList<>();
            for (LayerView view : views) {
                layers.add(TensorScope.call(() -> switch (view) {
                    case LayerView.Recurrence recurrence -> layer(recurrence, lags);
                    case LayerView.Invariant invariant -> layer(invariant, lags);
                }));
                progress.accept((double) layers.size() / views.size());
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

    static Selective layer(Recurrence layer, List<Integer> lags) {
        Tensor steps = layer.steps(); // (L, D)
        int length = Math.toIntExact(steps.size(0));
        Tensor meanSteps = steps.mean(new long[] {0}); // (D)
        Tensor rates = real(layer.a()).neg(); // (D, M)
        List<Double> valve = doubles(steps.mean(new long[] {1}));
        double[] halfLives = Survival.halfLives(
                Tensors.toFloats(steps),
                Tensors.toFloats(layer.b().abs()),
                Recurrence.isOfToken(layer.b()),
                Tensors.toFloats(rates.neg()),
                length);
        boolean aligns = Recurrence.isOfToken(layer.b()) || Recurrence.isOfToken(layer.c());
        Tensor written = directions(layer.b(), length); // (L, N)
        Tensor read = directions(conjugate(layer.c()), length); // (L, N)
        return new Selective(
                TimeScales.of(inverses(rates)),
                TimeScales.of(inverses(rates.mul(meanSteps.unsqueeze(1)))),
                valve,
                Arrays.stream(halfLives).boxed().toList(),
                aligns ? alignment(read, written, lags) : List.of(),
                aligns ? map(read, written) : List.of(),
                responses(layer, lags, valve, meanSteps));
    }

    static Invariant layer(LayerView.Invariant layer, List<Integer> lags) {
        return new Invariant(
                layer.rates().defined() ? TimeScales.of(inverses(layer.rates())) : TimeScales.NONE,
                TimeScales.of(inverses(layer.perToken())),
                KernelShape.of(layer.kernel(), lags));
    }

    /** What does not fade takes for ever. */
    private static double[] inverses(Tensor rates) {
        float[] values = Tensors.toFloats(rates.to(ScalarType.Float));
        return IntStream.range(0, values.length)
                .mapToDouble(i -> values[i] > 0 ? 1.0 / values[i] : Double.POSITIVE_INFINITY)
                .toArray();
    }

    private static Tensor real(Tensor x) {
        return x.is_complex() ? torch.real(x) : x;
    }

    private static Tensor conjugate(Tensor x) {
        return x.is_complex() ? x.conj() : x;
    }

    /**
     * Unit vectors (L, N), complex numbers as two; of a matrix that is the channel's the mean of all channels' at every
     * token.
     */
    private static Tensor directions(Tensor matrix, int length) {
        boolean ofToken = Recurrence.isOfToken(matrix);
        Tensor vectors = matrix.squeeze(ofToken ? 1 : 0); // (L or D, M)
        Tensor unit = torch.normalize(vectors.is_complex() ? ComplexTensors.toPairs(vectors) : vectors);
        return ofToken ? unit : unit.mean(new long[] {0}).unsqueeze(0).expand(length, unit.size(1));
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

    private static Responses responses(Recurrence layer, List<Integer> lags, List<Double> valve, Tensor meanSteps) {
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

    private static List<Double> response(Recurrence layer, List<Integer> lags, Tensor passed, int[] origins) {
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

    private static List<Double> frozen(Recurrence layer, List<Integer> lags, Tensor meanSteps) {
        Tensor read = layer.c().mean(new long[] {0}).mul(layer.b().mean(new long[] {0})); // (1 or D, M)
        Tensor decay = layer.a().mul(meanSteps.unsqueeze(1)); // (D, M)
        List<Double> kernel = new ArrayList<>();
        for (int lag : lags) {
            kernel.add(TensorScope.call(() -> {
                Tensor left =
                        decay.mul(new Scalar((double) lag)).exp().mul(read).sum(new long[] {1}); // (D)
                Tensor whole = left.is_complex() ? torch.real(left).mul(new Scalar(2.0)) : left;
                return (double) whole.abs().mul(meanSteps).mean().item_float();
            }));
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
