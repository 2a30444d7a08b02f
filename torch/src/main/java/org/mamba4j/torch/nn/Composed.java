package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * A language model put together from parts: blocks x + mixer(RMSNorm(x)), each followed by x + mlp(RMSNorm(x)) where
 * the configuration asks for it, RMSNorm, head. A {@link Mixer} is a shape of block
 * around an {@link InnerLayer}; every shape goes with every inner layer, so that one part can be exchanged and all else
 * stays as it is, as in the comparisons of the Mamba paper ([1], tables 1, 6, 7, 8). A hybrid has not the same one in all blocks.
 *
 * <p>Shapes: B batch, L length, d model width, D channels of the inner layer, N numbers of state per channel.
 *
 * <p>Reference: [1] A. Gu, T. Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752.
 */
public final class Composed extends LanguageNetwork {
    private final ComposedConfig config;
    private final List<Block> blocks;

    /** One layer: its norm is {@code norm.weight}. */
    private record Block(ComposedLayer layer, InnerLayer inner, Mixer mixer) {
        static Block of(ComposedLayer layer) {
            InnerLayer inner = innerLayer(layer);
            return new Block(layer, inner, Composed.mixer(layer, inner));
        }
    }

    /** All weights zero. */
    Composed(ComposedConfig config, MambaKernels kernels) {
        super(config, kernels);
        this.config = config;
        this.blocks = IntStream.range(0, config.nLayer())
                .mapToObj(index -> new ComposedLayer(config.layer(index), kernels, weights(), index))
                .map(Block::of)
                .toList();
    }

    private static Mixer mixer(ComposedLayer layer, InnerLayer inner) {
        return switch (layer.config().block()) {
            case "plain" -> new PlainMixer(layer, inner);
            case "mamba" -> new MambaMixer(layer, inner);
            default -> new H3Mixer(layer, inner);
        };
    }

    /** The inner layer of {@code layer}, of the kind that its configuration says. */
    static InnerLayer innerLayer(ComposedLayer layer) {
        return switch (layer.parts().innerLayer()) {
            case "s6" -> new S6Layer(layer);
            case "s4" -> new S4Layer(layer);
            case "s4d" -> new S4dLayer(layer);
            default -> new HyenaLayer(layer);
        };
    }

    @Override
    public ComposedConfig config() {
        return config;
    }

    @Override
    void fillInitially(long seed) {
        new ComposedInit(config).fill(weights(), seed);
        blocks.forEach(block -> block.inner().prepare());
    }

    @Override
    Tensor blocks(Tensor embedded, Carry carry, Consumer<Tensor> observer) {
        return oneAfterAnother(0, blocks.size(), embedded, observer, (i, x) -> block(blocks.get(i), x, carry));
    }

    private Tensor block(Block block, Tensor x, Carry carry) {
        ComposedLayer layer = block.layer();
        Tensor mixed = x.add(block.mixer().forward(norm(x, layer, "norm.weight"), carry)); // (B, L, d)
        return config.mlp().equals("none")
                ? mixed
                : mixed.add(new GatedMlp(layer).forward(norm(mixed, layer, "norm2.weight"))); // (B, L, d)
    }

    /** What each inner layer does with what it reads of one text: (1, L, d). */
    List<LayerView> views(Tensor embedded) {
        List<LayerView> views = new ArrayList<>();
        Tensor x = embedded; // (1, L, d)
        for (Block block : blocks) {
            Watched watched = new Watched(block.inner(), views);
            x = block(new Block(block.layer(), watched, mixer(block.layer(), watched)), x, Carry.NONE);
        }
        return views;
    }

    /** An inner layer that is looked at when it reads. */
    private record Watched(InnerLayer inner, List<LayerView> views) implements InnerLayer {
        @Override
        public Tensor forward(Tensor u, Carry carry) {
            views.add(view(u));
            return inner.forward(u, carry);
        }

        @Override
        public LayerView view(Tensor u) {
            return inner.view(u);
        }
    }

    private Tensor norm(Tensor x, ComposedLayer layer, String name) {
        return rmsNorm(x, layer.weight(name), config.normEpsilon());
    }

    @Override
    Tensor finalNorm(Tensor x) {
        return rmsNorm(x, weights().get("backbone.norm_f.weight"), config.normEpsilon());
    }

    @Override
    public void close() {
        blocks.forEach(block -> block.inner().close());
        super.close();
    }
}
