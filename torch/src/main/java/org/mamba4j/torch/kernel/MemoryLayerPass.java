package org.mamba4j.torch.kernel;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * The memory of one layer on a GPU, forward and backward written out by hand, as {@link MambaLayerPass} is and for the same
 * reasons: what {@code nn.Memory} computes for whole new sequences, against which it is tested.
 *
 * <pre>
 * x        = residual + output of the layer below                      (M, d) float32, by the norm's kernel
 * u        = RMSNorm(x)                                                (M, d)
 * p        = u Wᵀ: hidden of the scorer | summary | queries | gates    (M, n) float32, one product
 * a, s     = importance and summary of each token                      (M) float32, (M, s)
 *            which of them are notes, and when: {@link NoteIntervals}
 * o        = what was read, times its gate, side by side               (M, reads · s)
 * out      = o Wvᵀ                                                     (M, d): to be added to x, by the mixer's norm
 * </pre>
 *
 * <p>Of the fusions only {@code residual}, of the triggers only {@code period}: see {@link #covers}.
 *
 * <p>Shapes: M = B · L tokens; d, s, W as in {@code nn.Memory}; n columns of the product.
 */
public final class MemoryLayerPass {
    private static final Tensor ABSENT = Tensors.absent();

    private final MemMambaConfig config;
    private final ScalarType type;
    private final MemoryWeights weights;
    private final Place place;
    private final CudaMemoryScore score;

    /**
     * Where the layer stands.
     *
     * @param layer its number
     * @param line its number among the layers that have a memory
     * @param book of all memories
     */
    public record Place(int layer, int line, MemoryBook book) {}

    /** What the way back needs, and what layers above read. */
    public record Saved(
            Tensor x,
            Tensor scale,
            Tensor normed,
            CudaMemoryScore.Packed packed,
            CudaMemoryScore.Tokens tokens,
            NoteIntervals notes,
            Tensor out,
            List<CudaPoolRead.Reading> readings) {
        private CudaPoolRead.Pool pool() {
            return new CudaPoolRead.Pool(tokens.summaries(), notes);
        }

        /** Every tensor that is not a part of one of the sweep's. */
        private List<Tensor> own() {
            List<Tensor> all = new ArrayList<>(
                    List.of(scale, normed, packed.product(), packed.values(), tokens.product(), tokens.summaries()));
            all.add(out);
            readings.forEach(reading -> all.add(reading.lse()));
            return all.stream().filter(Tensor::defined).toList();
        }

        /** Frees all. */
        public void close() {
            x.close();
            own().forEach(Tensor::close);
            notes.close();
        }
    }

    /** What {@link #forward} returns. */
    public record Forward(MambaLayerPass.Residual residual, Saved saved) {}

    /** @param type of the activations */
    public MemoryLayerPass(MemMambaConfig config, ScalarType type, MemoryWeights weights, Place place) {
        this.config = config;
        this.type = type;
        this.weights = weights;
        this.place = place;
        this.score = new CudaMemoryScore(
                new CudaMemoryScore.Sizes(
                        config.dModel(),
                        config.scorerSize(),
                        config.memory().summarySize(),
                        weights.reads().size()),
                weights,
                place.book.controls(),
                type);
    }

    /** Whether memories of this configuration are trained by this class. */
    public static boolean covers(MemoryConfig memory) {
        return !memory.notesAtRandom()
                && memory.newestSize() == 0
                && memory.fusion().equals("residual")
                && memory.crossLayerTrigger().equals("period")
                && memory.crossLayerPeriod() <= CudaPoolRead.MOST_POOLS
                && memory.summarySize() <= 128;
    }

    /**
     * @param in as the layer below left it
     * @param page of this sweep
     * @param below what the layers that {@link MemMambaConfig#layersBelow} names have saved
     * @return both in the caller's scope
     */
    public Forward forward(MambaLayerPass.Residual in, NoteGrid grid, MemoryBook.Page page, List<Saved> below) {
        try (TensorScope scope = new TensorScope()) {
            NormedStream norm = NormedStream.of(in, norm(), type);
            CudaMemoryScore.Packed packed = score.pack();
            Tensor product = Tensors.emptyLike(
                    norm.sum(), ScalarType.Float, grid.tokens(), score.sizes().columns());
            multiply(norm.normed(), packed.product(), product); // (M, n)
            CudaMemoryScore.Tokens tokens = new CudaMemoryScore.Tokens(
                    product,
                    page.scores().select(0, place.line), // (M)
                    Tensors.emptyLike(
                            product, type, grid.tokens(), config.memory().summarySize()), // (M, s)
                    page.gates().select(0, place.line));
            score.forward(tokens);
            NoteIntervals notes = NoteIntervals.select(
                    new NoteIntervals.Choice(
                            place.book.controls(),
                            tokens.scores(),
                            weights.threshold().value(),
                            place.layer,
                            config.memory().replacementPolicy().isFifo()),
                    grid,
                    config.memory().summarySize(),
                    page.counts().select(0, place.line));

            Tensor out = ABSENT; // (M, reads · s)
            Tensor addend = ABSENT; // (M, d)
            List<CudaPoolRead.Reading> readings = new ArrayList<>();
            if (packed.values().defined()) {
                out = Tensors.emptyLike(
                        product, type, grid.tokens(), packed.values().size(1));
                CudaPoolRead.Pool own = new CudaPoolRead.Pool(tokens.summaries(), notes);
                for (int i = 0; i < weights.reads().size(); i++) {
                    int kind = weights.reads().get(i).below() ? 1 : 0;
                    Tensor missed = page.missed().select(0, place.line).select(0, kind);
                    readings.add(read(i, grid, product, own, below).forward(columns(out, i), missed));
                }
                addend = torch.mm(out, packed.values().t());
                scope.promote(addend);
            }
            Saved saved = new Saved(
                    norm.sum(), norm.scale(), norm.normed(), packed, tokens, notes, out, List.copyOf(readings));
            scope.promote(norm.sum());
            saved.own().forEach(scope::promote);
            scope.promote(tokens.scores());
            scope.promote(tokens.gates());
            readings.forEach(reading -> scope.promote(reading.out()));
            notes.promoteFrom(scope);
            return new Forward(new MambaLayerPass.Residual(norm.sum(), addend), saved);
        }
    }

    /**
     * Fills the gradients of the memory's parameters, and adds to those of the notes of layers below.
     *
     * @param above of what {@link #forward} returned; the layers above have run backward
     * @param add whether to add to the parameters' gradients instead of overwriting them
     * @return of the layer's input; the exact one in the place of {@code above}'s, the other in the caller's scope
     */
    public MambaLayerPass.ResidualGradient backward(
            Saved saved, MambaLayerPass.ResidualGradient above, MemoryBook.Page page, List<Saved> below, boolean add) {
        try (TensorScope scope = new TensorScope()) {
            NoteGrid grid = saved.notes.grid();
            Tensor gradProduct = Tensors.emptyLike(
                    saved.normed, type, grid.tokens(), score.sizes().columns()); // (M, n)
            Tensor gradValues = ABSENT; // (d, reads · s)
            List<Tensor> parts = new ArrayList<>();
            if (saved.out.defined()) {
                gradValues = Tensors.emptyLike(
                        saved.x, ScalarType.Float, saved.packed.values().shape());
                Products.weight(above.rounded(), saved.out, gradValues, false);
                Tensor gradOut = Tensors.emptyLike(saved.out); // (M, reads · s)
                Products.input(above.rounded(), saved.packed.values(), gradOut);
                Tensor dot = Tensors.emptyLike(saved.x, ScalarType.Float, grid.tokens()); // (M)
                for (int i = 0; i < weights.reads().size(); i++) {
                    Tensor part = Tensors.emptyLike(saved.x, ScalarType.Float, CudaPoolRead.blocks(grid), 2);
                    parts.add(part);
                    read(i, grid, saved.tokens.product(), saved.pool(), below)
                            .backward(
                                    saved.readings.get(i),
                                    new CudaPoolRead.Gradients(
                                            columns(gradOut, i), gradProduct, dot, part, page.poison()));
                }
            }
            Tensor statistics = place.book.statistics().select(0, place.line);
            Tensor sums = score.backward(
                    saved.tokens, new CudaMemoryScore.Back(saved.notes, statistics, page.poison(), gradProduct));
            Tensor gradPacked = Tensors.emptyLike(
                    saved.x, ScalarType.Float, saved.packed.product().shape()); // (n, d)
            Products.weight(gradProduct, saved.normed, gradPacked, false);
            score.unpack(new CudaMemoryScore.Shares(gradPacked, gradValues, sums, parts), add);

            Tensor gradNormed = Tensors.emptyLike(saved.normed); // (M, d)
            Products.input(gradProduct, saved.packed.product(), gradNormed);
            Tensor rounded = Tensors.emptyLike(gradNormed); // (M, d)
            norm().backward(
                            gradNormed,
                            saved.x,
                            saved.scale,
                            new CudaRmsNorm.Gradients(
                                    above.exact(),
                                    above.exact(),
                                    rounded,
                                    weights.norm().gradient(),
                                    add,
                                    CudaRmsNorm.workspace(weights.norm().value(), config.dModel())));
            return new MambaLayerPass.ResidualGradient(above.exact(), scope.promote(rounded));
        }
    }

    /** y = x wᵀ, float32. */
    private static void multiply(Tensor x, Tensor w, Tensor y) {
        if (x.scalar_type().intern() == ScalarType.Float) {
            torch.mm_out(y, x, w.t());
        } else {
            torch.mm_out(y, x, w.t(), ScalarType.Float);
        }
    }

    private CudaRmsNorm norm() {
        return new CudaRmsNorm(weights.norm().value(), config.mamba().normEpsilon());
    }

    private CudaPoolRead read(int i, NoteGrid grid, Tensor product, CudaPoolRead.Pool own, List<Saved> below) {
        MemoryWeights.Read read = weights.reads().get(i);
        return new CudaPoolRead(
                grid,
                read.below() ? below.stream().map(Saved::pool).toList() : List.of(own),
                read.gateBias().value(),
                read.nothing().value(),
                config.memory().readThreshold(),
                product,
                score.sizes().queryColumn(i),
                score.sizes().gateColumn(i));
    }

    /** The columns of one way of reading among those of all. */
    private Tensor columns(Tensor rows, int read) {
        int summary = config.memory().summarySize();
        return rows.narrow(1, (long) read * summary, summary);
    }
}
