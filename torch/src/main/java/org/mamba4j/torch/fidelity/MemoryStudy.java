package org.mamba4j.torch.fidelity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.UserError;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemoryProbe;

/**
 * What a model's layers remember, by how many tokens ago it was.
 *
 * <ul>
 *   <li>Decay: influence of an input on a layer's output through the recurrence, see {@link Decay}; its half-life, and the
 *       Gaussian bound on what the layer's state can tell of that input.
 *   <li>ETMF (expected token memory fidelity within a layer, a name of arXiv 2510.03279): mean cosine between the
 *       embedding of the token k before and its reconstruction from the layer's output by ridge regression, on other
 *       sequences than it was fit on, less the same for shuffled pairs.
 *   <li>ECLMF (across layers): held-out R² of a ridge regression from a layer's output to that of a layer below, at the
 *       same token.
 *   <li>What memories do, where there are some.
 * </ul>
 *
 * <p>The paper's formulas for ETMF and ECLMF are not public; these are this project's definitions, and figures of other
 * sources do not compare with them.
 *
 * @param lags k, from 0: 0, 1, 2, 4, …
 * @param layers from the first on
 * @param explained ECLMF: row m, column l &lt; m is R² of layer l from layer m
 */
public record MemoryStudy(List<Integer> lags, List<Layer> layers, List<List<Double>> explained) {
    /** Places in a sequence where the decay is measured. */
    private static final int PLACES = 32;

    private static final int LEAST_LENGTH = 16;

    /** Components of {@link Notes}. */
    private static final int MEASURES = 5;

    /**
     * One layer.
     *
     * @param influence w by lag
     * @param halfLife tokens, infinite where more than half is left at the last lag
     * @param bound bits by lag
     * @param fidelity ETMF by lag
     * @param notes its memory: one, or none
     */
    public record Layer(
            List<Double> influence, double halfLife, List<Double> bound, List<Double> fidelity, List<Notes> notes) {
        /** ETMF of the layer: the mean over lags from 1 on. */
        public double meanFidelity() {
            return fidelity.stream()
                    .skip(1)
                    .mapToDouble(Double::doubleValue)
                    .average()
                    .orElse(Double.NaN);
        }
    }

    /**
     * A layer's memory, means over all tokens.
     *
     * @param rate share of the tokens that were noted
     * @param gate read gate of the layer's own notes, NaN where there is none
     * @param gateBelow that of notes of layers below, NaN where there is none
     * @param attention share of attention that own notes got, not nothing; NaN where they are not read
     * @param attentionBelow the same of notes of layers below
     */
    public record Notes(double rate, double gate, double gateBelow, double attention, double attentionBelow) {}

    /**
     * Studies a network.
     *
     * @param sequences of equal length, at least two; half of them are fit, half are scored
     * @param progress told the fraction of the work done, in (0, 1]
     * @throws UserError if there are too few sequences, or they are too short
     */
    public static MemoryStudy of(LanguageNetwork network, List<int[]> sequences, DoubleConsumer progress) {
        int length = sequences.stream().mapToInt(s -> s.length).min().orElse(0);
        if (sequences.size() < 2 || length < LEAST_LENGTH) {
            throw new UserError("a study needs 2 sequences of " + LEAST_LENGTH + " tokens or more, but there are "
                    + sequences.size() + " of " + length);
        }
        return NoGrad.call(() -> TensorScope.call(() -> new Course(network, sequences, lags(length)).run(progress)));
    }

    /** 0, and the powers of two up to half of the length. */
    static List<Integer> lags(int length) {
        List<Integer> lags = new ArrayList<>(List.of(0));
        for (int lag = 1; lag <= length / 2; lag *= 2) {
            lags.add(lag);
        }
        return lags;
    }

    /** The measuring. */
    private static final class Course {
        private final LanguageNetwork network;
        private final List<int[]> sequences;
        private final List<Integer> lags;
        private final double[][] influence;
        private final double[][] notes;
        private final boolean[] seenNotes;
        private final Decoders decoders;

        Course(LanguageNetwork network, List<int[]> sequences, List<Integer> lags) {
            this.network = network;
            this.sequences = sequences;
            this.lags = lags;
            int layers = MemoryProbe.stack(network).nLayer();
            this.influence = new double[layers][lags.size()];
            this.notes = new double[layers][MEASURES];
            this.seenNotes = new boolean[layers];
            Tensor where = network.parameters().iterator().next().tensor();
            this.decoders = new Decoders(layers, network.config().dModel(), lags, where);
        }

        MemoryStudy run(DoubleConsumer progress) {
            int done = 0;
            for (int half = 0; half < 2; half++) {
                for (int i = half; i < sequences.size(); i += 2) {
                    boolean fits = half == 0;
                    int[] tokens = sequences.get(i);
                    TensorScope.run(() -> look(tokens, fits));
                    progress.accept((double) ++done / sequences.size());
                }
                if (half == 0) {
                    decoders.solve();
                }
            }
            return result();
        }

        private void look(int[] tokens, boolean fits) {
            MemoryProbe probe = MemoryProbe.of(network, Tensors.ofTokens(tokens, 0, 1, tokens.length));
            if (fits) {
                decoders.fit(probe);
            } else {
                decoders.score(probe);
            }
            int first = lags.getLast();
            int[] places = new int[Math.min(PLACES, tokens.length - first)];
            Arrays.setAll(places, i -> first + (int) ((long) i * (tokens.length - first) / places.length));
            for (int layer = 0; layer < influence.length; layer++) {
                MemoryProbe.Layer looked = probe.layers().get(layer);
                float[] found = TensorScope.call(() -> Decay.influence(looked.recurrence(), lags, places));
                for (int k = 0; k < found.length; k++) {
                    influence[layer][k] += found[k] / sequences.size();
                }
                for (MemoryProbe.Notes seen : looked.notes()) {
                    add(layer, seen);
                }
            }
        }

        private void add(int layer, MemoryProbe.Notes seen) {
            double[] values = {
                TensorScope.call(() -> (double) seen.score()
                        .gt(new Scalar(seen.threshold()))
                        .to(ScalarType.Float)
                        .mean()
                        .item_float()),
                mean(seen.gate()),
                mean(seen.gateBelow()),
                seen.attention(),
                seen.attentionBelow()
            };
            seenNotes[layer] = true;
            for (int i = 0; i < values.length; i++) {
                notes[layer][i] += values[i] / sequences.size();
            }
        }

        private static double mean(Tensor gate) {
            return gate.defined() ? TensorScope.call(() -> (double) gate.mean().item_float()) : Double.NaN;
        }

        private MemoryStudy result() {
            int channels = MemoryProbe.stack(network).mamba().dInner();
            List<Layer> layers = new ArrayList<>();
            List<List<Double>> explained = new ArrayList<>();
            for (int m = 0; m < influence.length; m++) {
                List<Double> w = Arrays.stream(influence[m]).boxed().toList();
                double[] n = notes[m];
                layers.add(new Layer(
                        w,
                        Decay.halfLife(lags, w),
                        Decay.bound(lags, w, channels),
                        decoders.fidelity(m),
                        seenNotes[m] ? List.of(new Notes(n[0], n[1], n[2], n[3], n[4])) : List.of()));
                List<Double> row = new ArrayList<>();
                for (int below = 0; below < m; below++) {
                    row.add(decoders.explained(below, m));
                }
                explained.add(List.copyOf(row));
            }
            return new MemoryStudy(lags, List.copyOf(layers), List.copyOf(explained));
        }
    }
}
