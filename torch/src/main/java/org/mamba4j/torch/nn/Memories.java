package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaLayerPass;
import org.mamba4j.torch.kernel.MemoryBook;
import org.mamba4j.torch.kernel.MemoryControls;
import org.mamba4j.torch.kernel.MemoryLayerPass;
import org.mamba4j.torch.kernel.MemoryWeights;
import org.mamba4j.torch.kernel.NoteGrid;
import org.mamba4j.torch.kernel.TrainedWeight;

/**
 * The memories of a {@link MambaPass}'s layers: which layer has one, whose notes it reads, and what holds for the step at
 * hand. A {@link Mamba} has none.
 */
public final class Memories implements AutoCloseable {
    private final List<MemMambaConfig> config; // one, or none
    private final List<MemoryBook> book; // as many
    private final Map<Integer, MemoryLayerPass> layers = new TreeMap<>();

    private Memories(List<MemMambaConfig> config, List<MemoryBook> book) {
        this.config = config;
        this.book = book;
    }

    /** @param weights by name; {@link TrainedWeight#ABSENT} for those that the model does not have */
    static Memories of(LanguageNetwork network, ScalarType type, Function<String, TrainedWeight> weights) {
        if (!(network instanceof MemMamba model)) {
            return new Memories(List.of(), List.of());
        }
        MemMambaConfig config = model.config();
        List<Integer> numbers = new ArrayList<>();
        List<MemoryWeights> all = new ArrayList<>();
        for (int i = 0; i < config.nLayer(); i++) {
            if (config.takesNotes(i)) {
                numbers.add(i);
                all.add(weights(config, i, weights));
            }
        }
        MemoryBook book = new MemoryBook(
                all.stream().map(layer -> layer.threshold().value()).toList());
        Memories memories = new Memories(List.of(config), List.of(book));
        for (int line = 0; line < all.size(); line++) {
            MemoryLayerPass.Place place = new MemoryLayerPass.Place(numbers.get(line), line, book);
            memories.layers.put(numbers.get(line), new MemoryLayerPass(config, type, all.get(line), place));
        }
        return memories;
    }

    private static MemoryWeights weights(MemMambaConfig config, int layer, Function<String, TrainedWeight> weights) {
        String name = "backbone.layers." + layer + ".memory.";
        List<MemoryWeights.Read> reads = new ArrayList<>();
        if (config.memory().crossToken()) {
            reads.add(read(false, name + "token.", weights));
        }
        if (config.readsBelow(layer)) {
            reads.add(read(true, name + "layer.", weights));
        }
        return new MemoryWeights(
                weights.apply(name + "norm.weight"),
                weights.apply(name + "score_in.weight"),
                weights.apply(name + "score_in.bias"),
                weights.apply(name + "score_out.weight"),
                weights.apply(name + "score_out.bias"),
                weights.apply(name + "threshold"),
                weights.apply(name + "summary.weight"),
                weights.apply(name + "summary.bias"),
                reads);
    }

    private static MemoryWeights.Read read(boolean below, String name, Function<String, TrainedWeight> weights) {
        return new MemoryWeights.Read(
                below,
                weights.apply(name + "query.weight"),
                weights.apply(name + "key.weight"),
                weights.apply(name + "value.weight"),
                weights.apply(name + "nothing"),
                weights.apply(name + "gate.weight"),
                weights.apply(name + "gate.bias"));
    }

    /**
     * Says how notes are taken in the sweeps to come, on the current stream; nothing without memories.
     *
     * @param policy capacity, density, exploration and the thresholds' moves
     * @param freeShare mean gate up to which notes are free (ρ)
     * @param price factor of the price of notes
     * @param tokens of a batch (M)
     * @param length of its sequences (L)
     */
    public void prepare(MemoryTraining policy, double freeShare, double price, long tokens, long length) {
        for (MemoryBook one : book) {
            NotePolicy.ThresholdMove move = policy.thresholdMove(length);
            one.controls()
                    .set(new MemoryControls.Values(
                            policy.places(),
                            policy.dense(),
                            policy.exploration(),
                            policy.explorationSeed(0),
                            move.scores(tokens),
                            move.weight(),
                            freeShare,
                            price));
        }
    }

    /** What each layer with a memory did in the last sweep; waits for the GPU. */
    public List<MemoryTraining.Statistics> statistics() {
        List<MemoryTraining.Statistics> all = new ArrayList<>();
        for (MemoryBook one : book) {
            float[] values = Tensors.toFloats(one.statistics());
            for (int layer : layers.keySet()) {
                int at = all.size() * MemoryBook.STATISTICS;
                MemMambaConfig model = config.getFirst();
                all.add(new MemoryTraining.Statistics(
                        layer,
                        values[at + 1],
                        values[at],
                        values[at + 2],
                        model.memory().crossToken() ? values[at + 3] : Double.NaN,
                        model.readsBelow(layer) ? values[at + 4] : Double.NaN));
            }
        }
        return all;
    }

    /** One sweep over all layers. */
    Sweep sweep(long batch, long length) {
        if (layers.isEmpty()) {
            return Sweep.NONE;
        }
        NoteGrid grid = new NoteGrid(
                Math.toIntExact(batch),
                Math.toIntExact(length),
                config.getFirst().memory().chunkSize());
        MemoryBook.Page page = book.getFirst().open(grid);
        Map<Integer, MemoryLayerPass.Saved> saved = new TreeMap<>();
        return new Sweep() {
            @Override
            public MambaLayerPass.Residual forward(int layer, MambaLayerPass.Residual in) {
                MemoryLayerPass memory = layers.get(layer);
                if (memory == null) {
                    return in;
                }
                MemoryLayerPass.Forward done = memory.forward(in, grid, page, below(layer));
                if (in.addend().defined()) {
                    in.addend().close();
                }
                saved.put(layer, done.saved());
                return done.residual();
            }

            @Override
            public void settle(Tensor loss) {
                book.getFirst().settle(page, loss);
            }

            @Override
            public MambaLayerPass.ResidualGradient backward(
                    int layer, MambaLayerPass.ResidualGradient above, boolean add) {
                MemoryLayerPass memory = layers.get(layer);
                MemoryLayerPass.Saved own = saved.remove(layer);
                if (memory == null || own == null) {
                    return above;
                }
                MambaLayerPass.ResidualGradient gradient = memory.backward(own, above, page, below(layer), add);
                above.rounded().close();
                own.close();
                return gradient;
            }

            private List<MemoryLayerPass.Saved> below(int layer) {
                MemMambaConfig model = config.getFirst();
                return model.readsBelow(layer)
                        ? model.layersBelow(layer).stream().map(saved::get).toList()
                        : List.of();
            }
        };
    }

    /** What the memories do in one sweep of the layers, forward and back. */
    interface Sweep {
        /** Without memories. */
        Sweep NONE = new Sweep() {
            @Override
            public MambaLayerPass.Residual forward(int layer, MambaLayerPass.Residual in) {
                return in;
            }

            @Override
            public void settle(Tensor loss) {}

            @Override
            public MambaLayerPass.ResidualGradient backward(
                    int layer, MambaLayerPass.ResidualGradient above, boolean add) {
                return above;
            }
        };

        /** The residual stream with what the layer has read. */
        MambaLayerPass.Residual forward(int layer, MambaLayerPass.Residual in);

        /** All layers have run forward and the loss is there: the price of notes is added to it. */
        void settle(Tensor loss);

        /** From the gradient of what {@link #forward} returned to that of what it was given. */
        MambaLayerPass.ResidualGradient backward(int layer, MambaLayerPass.ResidualGradient above, boolean add);
    }

    @Override
    public void close() {
        book.forEach(MemoryBook::close);
    }
}
