package org.mamba4j.torch.nn;

import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.UserError;
import org.mamba4j.checkpoint.Checkpoint;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * The Mamba language model [1] as a training graph: embedding, blocks x + mixer(RMSNorm(x)), RMSNorm, head.
 *
 * <p>The blocks are {@link MambaBlock}s, the rest is {@link LanguageNetwork}'s. The residual stream is float32, so
 * {@code residual_in_fp32} holds by itself.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752.
 */
public final class Mamba extends LanguageNetwork {
    private final MambaConfig config;
    private final List<MambaBlock> blocks;

    Mamba(MambaConfig config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
        this.blocks = IntStream.range(0, config.nLayer())
                .mapToObj(layer -> new MambaBlock(config, kernels, weights(), layer))
                .toList();
    }

    /**
     * A new model with the reference's initial values.
     *
     * @param seed what they are drawn from; the same seed gives the same model
     */
    public static Mamba create(MambaConfig config, MambaKernels kernels, long seed) {
        Mamba model = new Mamba(config, kernels);
        model.initialise(seed);
        return model;
    }

    /**
     * A model with the weights of a checkpoint, which are copied.
     *
     * @throws UserError if the checkpoint holds another kind of model
     */
    public static Mamba load(Checkpoint checkpoint, MambaKernels kernels) {
        if (!(checkpoint.config() instanceof MambaConfig config)) {
            throw new UserError(checkpoint.folder() + " holds a model of type "
                    + checkpoint.config().modelType() + ", not mamba");
        }
        Mamba model = new Mamba(config, kernels);
        model.fill(checkpoint);
        return model;
    }

    @Override
    void fillInitially(long seed) {
        new MambaInit(config).fill(weights(), seed);
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return rmsNorm(x, weights().get("backbone.norm_f.weight"), config.normEpsilon());
    }

    @Override
    public MambaConfig config() {
        return config;
    }

    MambaBlock block(int layer) {
        return blocks.get(layer);
    }

    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        return oneAfterAnother(
                0, blocks.size(), embedded, observer, (i, x) -> blocks.get(i).forward(x, carry));
    }
}
