package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;

/**
 * Mamba blocks in the shape of a U (SaShiMi, arXiv 2202.09729): stages on ever shorter and wider sequences, then back; the
 * network says how.
 *
 * <p>A stage of depth k, 0 outside, has the width d · widening^k. Blocks are numbered from 0 through all stages in the
 * order of the forward pass; pool k leads from depth k to k + 1 and back.
 *
 * @param mamba its blocks, but for their width and number: {@code hidden_size} is that of the outer stages and {@code
 *     num_hidden_layers} the number of blocks in each stage
 * @param pooling between the stages
 */
public record MambaUNetConfig(MambaConfig mamba, PoolingConfig pooling) implements ExtendedMamba {
    static final String MODEL_TYPE = "mamba_unet";

    private static final MambaExtension<PoolingConfig> FORMAT =
            new MambaExtension<>(MODEL_TYPE, "MambaUNetForCausalLM", "unet_", PoolingConfig.SCHEMA);

    /** @throws UserError if the middle stage would be too wide */
    public MambaUNetConfig {
        long widest = mamba.dModel();
        for (int i = 0; i < pooling.pools(); i++) {
            widest *= pooling.widening();
        }
        if (widest > 1 << 16) {
            throw new UserError("\"unet_widening\" is " + pooling.widening() + ": after \"unet_pools\", "
                    + pooling.pools() + ", the stream would be " + widest + " wide, more than " + (1 << 16));
        }
    }

    /** Blocks of a stage. */
    public int stageBlocks() {
        return mamba.nLayer();
    }

    /** Stages: before the middle, the middle, after it. */
    public int stages() {
        return 2 * pooling.pools() + 1;
    }

    /** How often the sequence was pooled where stage {@code stage} stands. */
    public int depth(int stage) {
        return Math.min(stage, stages() - 1 - stage);
    }

    /** What a Mamba of the width at {@code depth} has, with as many blocks as this model. */
    public MambaConfig at(int depth) {
        int width = mamba.dModel();
        for (int i = 0; i < depth; i++) {
            width *= pooling.widening();
        }
        return mamba.toBuilder().dModel(width).nLayer(nLayer()).build();
    }

    /** First block within the pool, which also names what the pool remembers. */
    public int firstInside(int pool) {
        return (pool + 1) * stageBlocks();
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public int nLayer() {
        return stages() * stageBlocks();
    }

    @Override
    public MambaUNetConfig withVocabSize(int rows) {
        return new MambaUNetConfig(mamba.withVocabSize(rows), pooling);
    }

    /** Of pool {@code k}: {@code down} makes of p positions one that is wider, {@code up} of one p. */
    @Override
    public List<TensorSpec> parameters() {
        List<TensorSpec> all = new ArrayList<>();
        all.add(embedding());
        for (int stage = 0; stage < stages(); stage++) {
            MambaConfig config = at(depth(stage));
            for (int i = stage * stageBlocks(); i < (stage + 1) * stageBlocks(); i++) {
                addWith("backbone.layers." + i + ".", config.parameters(), all);
            }
            if (stage < pooling.pools()) {
                long inside = at(stage + 1).dModel();
                long outside = (long) pooling.size() * config.dModel();
                all.add(TensorSpec.of("backbone.pools." + stage + ".down.weight", inside, outside));
                all.add(TensorSpec.of("backbone.pools." + stage + ".up.weight", outside, inside));
            }
        }
        all.add(TensorSpec.of("backbone.norm_f.weight", dModel()));
        if (!mamba.tieEmbeddings()) {
            all.add(head());
        }
        return List.copyOf(all);
    }

    private static void addWith(String prefix, List<TensorSpec> from, List<TensorSpec> all) {
        from.stream().filter(spec -> spec.name().startsWith(prefix)).forEach(all::add);
    }

    /**
     * Each block's as a Mamba's; and, under the number of the first block within each pool, {@code pending}: the positions
     * that wait to be pooled, then zeros, and {@code last}: what came up from the last ones that were.
     */
    @Override
    public List<TensorSpec> stateTensors() {
        List<TensorSpec> all = new ArrayList<>();
        for (int stage = 0; stage < stages(); stage++) {
            MambaConfig config = at(depth(stage));
            for (int i = stage * stageBlocks(); i < (stage + 1) * stageBlocks(); i++) {
                addWith("layers." + i + ".", config.stateTensors(), all);
            }
        }
        for (int pool = 0; pool < pooling.pools(); pool++) {
            String name = "layers." + firstInside(pool) + ".";
            all.add(TensorSpec.of(name + "pending", pooling.size() - 1L, at(pool).dModel()));
            all.add(TensorSpec.of(name + "last", 1, at(pool + 1).dModel()));
        }
        all.add(TensorSpec.of("last_hidden", dModel()));
        return List.copyOf(all);
    }

    /** The Mamba's keys, and those of {@link PoolingConfig} beside them. */
    @Override
    public JsonObject toJson() {
        return FORMAT.write(mamba, pooling);
    }

    static MambaUNetConfig read(JsonValue value, String source) {
        return FORMAT.read(value, source, MambaUNetConfig::new);
    }
}
