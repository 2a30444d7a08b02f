package org.mamba4j.torch.nn;

import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.DeciMambaConfig;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * DeciMamba [1]: a {@link Mamba} some of whose layers leave the unimportant tokens of a long text out, for themselves and
 * all layers above.
 *
 * <p>How far a state reaches back is settled by the steps Δ that a layer takes, summed over the text; a model trained on
 * short texts has had no reason to keep its sum small over long ones. A token with small steps hardly enters the state: so
 * the norm of Δ over the channels is a token's importance, and a layer that drops all but the most important ones shows
 * those above it a text as short as in training.
 *
 * <p>In such a layer, after the convolution and before the scan, of the tokens that may be left out the K most important are
 * kept, see {@link org.mamba4j.model.DecimationConfig#kept}; the last ones of the text, whose predictions are wanted
 * ({@link Carry#wanted}), always stay. A token that was left out leaves the stack as it stood before that layer.
 *
 * <p>Trade-offs: a layer must have seen the whole text before it knows what to keep, so texts cannot be read in parts and
 * must fit in memory; where every token is to be predicted nothing can be left out, so a language model's loss is taken in
 * halves, as the paper does it; single steps leave nothing out, so the state's reach shrinks again as text is generated.
 * Rows of a batch choose for themselves, but all keep as many. The choice has no gradient.
 *
 * <p>Shapes: B batch, L length, M tokens still there, K tokens kept, d model width, D channels.
 *
 * <p>Reference: [1] A. Ben-Kish et al.: DeciMamba, arXiv 2406.14528.
 */
public final class DeciMamba extends LanguageNetwork {
    private static final int IGNORED = -100;

    private final DeciMambaConfig config;
    private final List<MambaBlock> blocks;

    /** All weights zero. */
    DeciMamba(DeciMambaConfig config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
        this.blocks = IntStream.range(0, config.nLayer())
                .mapToObj(layer -> new MambaBlock(config.mamba(), kernels, weights(), layer))
                .toList();
    }

    @Override
    public DeciMambaConfig config() {
        return config;
    }

    @Override
    void fillInitially(long seed) {
        new MambaInit(config.mamba()).fill(weights(), seed);
    }

    @Override
    boolean needsWholeTexts() {
        return true;
    }

    /** How many tokens are left out depends on where the weights of a batch begin. */
    @Override
    public boolean isRecordable() {
        return false;
    }

    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        Stream stream = new Stream(embedded, Tensors.absent(), embedded);
        for (int i = 0; i < config.nLayer(); i++) {
            int optional = Math.toIntExact(stream.x().size(1) - carry.wanted(embedded.size(1)));
            int kept = config.decimation().decimates(i) ? config.decimation().kept(i, optional) : optional;
            try (TensorScope layer = TensorScope.temporaries()) {
                stream = kept < optional
                        ? thinned(i, stream, optional, kept, carry).keptBy(layer, !stream.isWhole())
                        : stream.with(layer.promote(blocks.get(i).forward(stream.x(), carry)));
            }
            if (!(observer instanceof Unobserved)) { // else a text would be copied after every layer
                observer.accept(stream.whole());
            }
        }
        return stream.whole();
    }

    /**
     * The text between two layers.
     *
     * @param x tokens that are still there (B, M, d)
     * @param places where they stand in the text (B, M) int64; absent while all are there
     * @param all tokens that were left out, as they were then; arbitrary in the places of the others (B, L, d)
     */
    private record Stream(Tensor x, Tensor places, Tensor all) {
        boolean isWhole() {
            return !places.defined();
        }

        /** Every token as far as it got: (B, L, d). */
        Tensor whole() {
            return isWhole() ? x : all.scatter(1, wide(places, x.size(2)), x);
        }

        Stream with(Tensor next) {
            return new Stream(next, places, all);
        }

        /** Outlives {@code scope}; {@code all} only where it does not anyway. */
        Stream keptBy(TensorScope scope, boolean andAll) {
            return new Stream(scope.promote(x), scope.promote(places), andAll ? scope.promote(all) : all);
        }
    }

    /** The block with {@code kept} of the first {@code optional} tokens, and all after them. */
    private Stream thinned(int layer, Stream stream, int optional, int kept, Carry carry) {
        MambaBlock block = blocks.get(layer);
        Tensor x = stream.x(); // (B, M, d)
        MambaBlock.Selected selected = block.select(x, carry);
        Tensor chosen = choose(block, selected, optional, kept); // (B, K + wanted)
        Tensor some = block.scanned(at(x, chosen), selected.at(chosen), carry); // (B, K + wanted, d)
        Tensor places = stream.isWhole() ? chosen : stream.places().gather(1, chosen);
        return new Stream(some, places, stream.whole());
    }

    /** The {@code kept} of the first {@code optional} tokens with the greatest steps, and all after them, in order. */
    private static Tensor choose(MambaBlock block, MambaBlock.Selected all, int optional, int kept) {
        return NoGrad.call(() -> {
            Tensor importance = block.steps(all)
                    .narrow(1, 0, optional) // (B, optional, D)
                    .pow(new Scalar(2))
                    .sum(2); // (B, optional): the norm's square, of the same order
            Tensor first =
                    importance.topk(kept, 1, true, true).get1().sort(1, false).get0(); // (B, K)
            long length = all.u().size(1);
            Tensor rest = torch.arange(new Scalar((long) optional), new Scalar(length))
                    .to(first.device(), ScalarType.Long)
                    .unsqueeze(0)
                    .expand(first.size(0), length - optional); // (B, wanted)
            return torch.cat(new TensorVector(first, rest), 1);
        });
    }

    /** The tokens of {@code x} (B, M, n) at {@code places} (B, K): (B, K, n). */
    static Tensor at(Tensor x, Tensor places) {
        return x.gather(1, wide(places, x.size(2)));
    }

    private static Tensor wide(Tensor places, long columns) {
        return places.unsqueeze(2).expand(places.size(0), places.size(1), columns);
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return rmsNorm(
                x, weights().get("backbone.norm_f.weight"), config.mamba().normEpsilon());
    }

    /** Tokens up to the first one with a weight may be left out. */
    @Override
    public Tensor loss(Tensor ids, Tensor targets, Tensor weights) {
        return checked(() -> {
            long wanted = Math.max(1, ids.size(1) - firstUsed(weights));
            Tensor hidden = hidden(ids, Carry.wanting(wanted), UNOBSERVED).narrow(1, ids.size(1) - wanted, wanted);
            return crossEntropy(logits(hidden), end(targets, wanted), end(weights, wanted));
        });
    }

    /**
     * Of the first half as a Mamba, then of the second half with tokens of the first left out: half of the whole each where
     * all tokens count.
     */
    @Override
    public Tensor loss(Tensor ids, Tensor targets) {
        return checked(() -> {
            Tensor counted = targets.ne(new Scalar(IGNORED)).to(ScalarType.Float); // (B, L)
            Tensor weights = counted.div(counted.sum());
            long length = ids.size(1);
            long half = length / 2;
            if (half == 0) {
                return loss(ids, targets, weights);
            }
            Tensor first =
                    loss(ids.narrow(1, 0, half), targets.narrow(1, 0, half), weights.narrow(1, 0, half)); // scalar
            Tensor later = torch.constant_pad_nd(end(weights, length - half), new long[] {half, 0}); // (B, L)
            return first.add(loss(ids, targets, later));
        });
    }

    /** Index of the first column of (B, L) that is not all 0; L where all are. */
    private static long firstUsed(Tensor weights) {
        float[] used = Tensors.toFloats(weights.abs().sum(0).to(ScalarType.Float));
        int first = 0;
        while (first < used.length && used[first] == 0) {
            first++;
        }
        return first;
    }

    private static Tensor end(Tensor x, long columns) {
        return x.narrow(1, x.size(1) - columns, columns);
    }
}
