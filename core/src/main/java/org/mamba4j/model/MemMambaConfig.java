package org.mamba4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.mamba4j.UserError;
import org.mamba4j.json.JsonObject;
import org.mamba4j.json.JsonValue;

/**
 * A Mamba whose layers take notes and read them (MemMamba, arXiv 2510.03279). docs/memmamba.md says what it computes
 * and names every key and tensor.
 *
 * <p>Layers are counted from 0 here, as in the tensors' names; the periods and the first layer of {@link MemoryConfig}
 * count from 1, as the paper does.
 *
 * @param mamba the model that it is without its memory
 * @param memory what is added
 */
public record MemMambaConfig(MambaConfig mamba, MemoryConfig memory) implements MambaStack, ExtendedMamba {
    static final String MODEL_TYPE = "memmamba";

    private static final MambaExtension<MemoryConfig> FORMAT =
            new MambaExtension<>(MODEL_TYPE, "MemMambaForCausalLM", "memory_", MemoryConfig.SCHEMA);

    /** @throws UserError if no layer would have a memory */
    public MemMambaConfig {
        if (memory.firstLayer() > mamba.nLayer()) {
            throw new UserError("\"memory_first_layer\" is " + memory.firstLayer()
                    + ", but must be at most \"num_hidden_layers\", " + mamba.nLayer());
        }
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public MemMambaConfig withVocabSize(int rows) {
        return new MemMambaConfig(mamba.withVocabSize(rows), memory);
    }

    /** Width of the importance scorer's hidden layer: a quarter of the model's. */
    public int scorerSize() {
        return Math.max(1, dModel() / 4);
    }

    /** Whether layer {@code layer}, from 0, takes notes. */
    public boolean takesNotes(int layer) {
        return layer + 1 >= memory.firstLayer();
    }

    /** Whether layer {@code layer}, from 0, reads the notes of layers below. */
    public boolean readsBelow(int layer) {
        boolean due = memory.crossLayerTrigger().equals("need") || (layer + 1) % memory.crossLayerPeriod() == 0;
        return memory.crossLayer() && due && !layersBelow(layer).isEmpty();
    }

    /** The layers, from 0, whose notes layer {@code layer} would read: those of the last p below it that have some. */
    public List<Integer> layersBelow(int layer) {
        return IntStream.range(Math.max(0, layer - memory.crossLayerPeriod()), layer)
                .filter(this::takesNotes)
                .boxed()
                .toList();
    }

    /**
     * The Mamba's, and in each layer the memory's before them. A layer's {@code memory.threshold} is no trained
     * parameter: training moves it to a quantile of the scores.
     */
    @Override
    public List<TensorSpec> parameters() {
        List<TensorSpec> all = new ArrayList<>();
        int layer = 0;
        for (TensorSpec spec : mamba.parameters()) {
            if (layer < nLayer() && spec.name().equals("backbone.layers." + layer + ".norm.weight")) {
                if (takesNotes(layer)) {
                    addMemory(layer, all);
                }
                layer++;
            }
            all.add(spec);
        }
        return List.copyOf(all);
    }

    private void addMemory(int layer, List<TensorSpec> all) {
        String name = "backbone.layers." + layer + ".memory.";
        all.add(TensorSpec.of(name + "norm.weight", dModel()));
        all.add(TensorSpec.of(name + "score_in.weight", scorerSize(), dModel()));
        all.add(TensorSpec.of(name + "score_in.bias", scorerSize()));
        all.add(TensorSpec.of(name + "score_out.weight", 1, scorerSize()));
        all.add(TensorSpec.of(name + "score_out.bias", 1));
        all.add(TensorSpec.of(name + "threshold", 1));
        all.add(TensorSpec.of(name + "summary.weight", memory.summarySize(), dModel()));
        all.add(TensorSpec.of(name + "summary.bias", memory.summarySize()));
        if (memory.crossToken()) {
            addRead(name + "token.", all);
        }
        if (readsBelow(layer)) {
            addRead(name + "layer.", all);
        }
    }

    private void addRead(String name, List<TensorSpec> all) {
        long s = memory.summarySize();
        all.add(TensorSpec.of(name + "query.weight", s, dModel()));
        all.add(TensorSpec.of(name + "key.weight", s, s));
        all.add(TensorSpec.of(name + "value.weight", dModel(), s));
        all.add(TensorSpec.of(name + "nothing", 1));
        if (!memory.fusion().equals("plain") || memory.readThreshold() > 0) {
            all.add(TensorSpec.of(name + "gate.weight", 1, dModel()));
            all.add(TensorSpec.of(name + "gate.bias", 1));
        }
        switch (memory.fusion()) {
            case "gate" -> {
                all.add(TensorSpec.of(name + "fusion.weight", dModel(), 2L * dModel()));
                all.add(TensorSpec.of(name + "fusion.bias", dModel()));
            }
            case "conv" -> all.add(TensorSpec.of(name + "fusion.weight", dModel(), 1, MemoryConfig.FUSION_TAPS));
            case "scalar" -> all.add(TensorSpec.of(name + "fusion.weight", 1));
            default -> {}
        }
    }

    /**
     * The Mamba's; then per layer that takes notes the pool and the chunk that is being read. Positions are stored as
     * (position div 2^20, position mod 2^20), which float32 holds exactly to 2^44, and (-1, -1) in empty places; {@code
     * open.noted} is 1 where the token at this place of the chunk is noted, else 0. For the fusion variant {@code conv}
     * the last inputs of its convolutions.
     */
    @Override
    public List<TensorSpec> stateTensors() {
        long s = memory.summarySize();
        List<TensorSpec> all = new ArrayList<>(mamba.stateTensors());
        for (int i = 0; i < nLayer(); i++) {
            String name = "layers." + i + ".memory.";
            if (takesNotes(i)) {
                all.add(TensorSpec.of(name + "pool.summary", memory.greatestPool(), s));
                all.add(TensorSpec.of(name + "pool.importance", memory.greatestPool()));
                all.add(TensorSpec.of(name + "pool.position", memory.greatestPool(), 2));
                all.add(TensorSpec.of(name + "open.summary", memory.chunkSize(), s));
                all.add(TensorSpec.of(name + "open.importance", memory.chunkSize()));
                all.add(TensorSpec.of(name + "open.noted", memory.chunkSize()));
                if (memory.fusion().equals("conv") && memory.crossToken()) {
                    all.add(TensorSpec.of(name + "token.conv", dModel(), MemoryConfig.FUSION_TAPS - 1));
                }
                if (memory.fusion().equals("conv") && readsBelow(i)) {
                    all.add(TensorSpec.of(name + "layer.conv", dModel(), MemoryConfig.FUSION_TAPS - 1));
                }
            }
        }
        return List.copyOf(all);
    }

    /** The Mamba's keys, and those of {@link MemoryConfig} beside them. */
    @Override
    public JsonObject toJson() {
        return FORMAT.write(mamba, memory);
    }

    static MemMambaConfig read(JsonValue value, String source) {
        return FORMAT.read(value, source, MemMambaConfig::new);
    }
}
