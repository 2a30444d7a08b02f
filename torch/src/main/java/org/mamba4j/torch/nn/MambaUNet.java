package org.mamba4j.torch.nn;

import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MambaUNetConfig;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * Mamba blocks in the shape of a U, for signals of many samples in which little happens at once, such as sound: SaShiMi's
 * backbone [1] with the blocks of [2] in it.
 *
 * <p>After some blocks, p positions next to each other are projected to one that is wider ("pooling"); blocks on the
 * shorter sequence follow, within them perhaps another pooling; then each position is projected back to p, added to what
 * was there before the pooling, and some more blocks read the sum. So most blocks see a sequence that is p or p² times
 * shorter, for less work and with a memory that reaches p or p² times further.
 *
 * <p>To be causal, what comes up is delayed: the p positions of a group get what was computed from the groups before it,
 * since their own group is complete only when its last position is. While a sequence is read in parts, the positions of a
 * group that is not complete wait, and what came up last is kept: that is all that a pool remembers, so the model streams
 * like a Mamba, and most steps run the outer stages alone.
 *
 * <p>Shapes: B batch, L length at some depth, w width there, w' and L' = L / p one depth further in.
 *
 * <p>References: [1] K. Goel et al.: It's Raw! Audio Generation with State-Space Models, arXiv 2202.09729, section 4.2. [2]
 * A. Gu, T. Dao: Mamba, arXiv 2312.00752, section 4.4.
 */
public final class MambaUNet extends LanguageNetwork {
    private final MambaUNetConfig config;
    private final List<MambaBlock> blocks;

    /** All weights zero. */
    MambaUNet(MambaUNetConfig config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
        this.blocks = IntStream.range(0, config.nLayer())
                .mapToObj(i -> new MambaBlock(at(i), kernels, weights(), i))
                .toList();
    }

    /** The configuration of block {@code i}. */
    private MambaConfig at(int i) {
        return config.at(config.depth(i / config.stageBlocks()));
    }

    @Override
    public MambaUNetConfig config() {
        return config;
    }

    /** Observers see what each block puts out, which is shorter and wider further in: (B, L', w'). */
    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        return level(0, embedded, new Reading(carry, carry.tokensSeen(), observer));
    }

    /**
     * A sequence that is being read.
     *
     * @param carry from the part before
     * @param seen positions of this depth in the parts before
     * @param observer of blocks' outputs
     */
    private record Reading(Carry carry, long seen, Consumer<Tensor> observer) {}

    /** All stages from depth {@code depth} inwards and back: (B, L, w) → (B, L, w). */
    private Tensor level(int depth, Tensor x, Reading reading) {
        Tensor before = stage(depth, x, reading); // (B, L, w)
        if (depth == config.pooling().pools()) {
            return before;
        }
        Tensor after = before.add(inside(depth, before, reading)); // (B, L, w)
        return stage(config.stages() - 1 - depth, after, reading);
    }

    private Tensor stage(int stage, Tensor start, Reading reading) {
        int first = stage * config.stageBlocks();
        int end = first + config.stageBlocks();
        return oneAfterAnother(
                first, end, start, reading.observer(), (i, x) -> blocks.get(i).forward(x, reading.carry()));
    }

    /** What the stages within pool {@code pool} make of the groups before each position: (B, L, w) → (B, L, w). */
    private Tensor inside(int pool, Tensor x, Reading reading) {
        int p = config.pooling().size();
        int first = config.firstInside(pool);
        long waiting = reading.seen() % p;
        Tensor open = waiting == 0 // (B, waiting + L, w)
                ? x
                : torch.cat(
                        new TensorVector(reading.carry().get(first, "pending").narrow(1, 0, waiting), x), 1);
        long groups = open.size(1) / p;
        Tensor known = last(pool, x, reading); // (B, 1, w')
        if (groups > 0) {
            Tensor grouped = open.narrow(1, 0, groups * p).reshape(x.size(0), groups, p * x.size(2)); // (B, L', p w)
            Tensor narrow = linear("backbone.pools." + pool + ".down.weight", grouped); // (B, L', w')
            Reading within = new Reading(reading.carry(), reading.seen() / p, reading.observer());
            known = torch.cat(new TensorVector(known, level(pool + 1, narrow, within)), 1); // (B, 1 + L', w')
        }
        if (reading.carry().wantsState()) {
            reading.carry().update(first, "pending", pending(open, groups * p, p - 1));
            reading.carry().update(first, "last", known.narrow(1, groups, 1).clone());
        }
        return linear("backbone.pools." + pool + ".up.weight", known) // (B, 1 + L', p w)
                .reshape(x.size(0), (1 + groups) * p, x.size(2))
                .narrow(1, waiting, x.size(1));
    }

    /** What came up for the group before the first: (B, 1, w'). */
    private Tensor last(int pool, Tensor x, Reading reading) {
        Tensor kept = reading.carry().get(config.firstInside(pool), "last");
        return kept.defined()
                ? kept
                : zeros(x, 1, config.at(pool + 1).dModel()); // a projection without bias makes nothing of it
    }

    /** The positions of {@code open} from {@code from} on, then zeros: (B, count, w). */
    private static Tensor pending(Tensor open, long from, long count) {
        long left = open.size(1) - from;
        return torch.cat(new TensorVector(open.narrow(1, from, left), zeros(open, count - left, open.size(2))), 1);
    }

    private static Tensor zeros(Tensor like, long length, long width) {
        return Tensors.emptyLike(like, ScalarType.Float, like.size(0), length, width)
                .zero_();
    }

    /** A product in the activations' type, for the residual stream. */
    private Tensor linear(String name, Tensor x) {
        return kernels().linear(x, weights().get(name), Tensors.absent()).to(ScalarType.Float);
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return rmsNorm(
                x, weights().get("backbone.norm_f.weight"), config.mamba().normEpsilon());
    }

    /** Each block as a Mamba's of its width; pools, like other matrices, uniform within 1 / √fan-in. */
    @Override
    void fillInitially(long seed) {
        SplittableRandom seeds = new SplittableRandom(seed);
        for (Parameter parameter : weights().all()) {
            new MambaInit(configOf(parameter.name())).fill(parameter, seeds.split());
        }
    }

    private MambaConfig configOf(String parameter) {
        String[] parts = parameter.split("\\.");
        return parts.length > 2 && parts[1].equals("layers") ? at(Integer.parseInt(parts[2])) : config.at(0);
    }
}
