package org.mamba4j.torch.fidelity;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.memory.NoteRanking;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.LanguageNetwork;
import org.mamba4j.torch.nn.MemoryProbe;

/**
 * A text and what a model's memories made of each token of it.
 *
 * @param layers those with a memory; none where the model has none
 */
public record NotedText(List<Layer> layers) {
    /**
     * One layer's memory, by token.
     *
     * @param index of the layer, from 0
     * @param noted whether the token was noted
     * @param kept whether its note is in the pool in the end
     * @param gates how much the token reads of the layer's notes; empty where no gate decides
     */
    @SuppressWarnings("ArrayRecordComponent") // identity is enough: never compared
    public record Layer(int index, boolean[] noted, boolean[] kept, float[] gates) {}

    /** Lets {@code network} read {@code tokens} from the beginning. */
    public static NotedText of(LanguageNetwork network, int[] tokens) {
        if (!(network.config() instanceof MemMambaConfig config)) {
            return new NotedText(List.of());
        }
        return NoGrad.call(() -> TensorScope.call(() -> {
            MemoryProbe probe = MemoryProbe.of(network, Tensors.ofTokens(tokens, 0, 1, tokens.length));
            List<Layer> layers = new ArrayList<>();
            for (int i = 0; i < probe.layers().size(); i++) {
                for (MemoryProbe.Notes notes : probe.layers().get(i).notes()) {
                    layers.add(layer(i, notes, config.memory()));
                }
            }
            return new NotedText(List.copyOf(layers));
        }));
    }

    private static Layer layer(int index, MemoryProbe.Notes notes, MemoryConfig memory) {
        float[] scores = Tensors.toFloats(notes.score());
        boolean[] noted = new boolean[scores.length];
        NoteRanking pool = new NoteRanking(memory.greatestPool(), memory.replacementPolicy());
        int committed = scores.length - scores.length % memory.chunkSize();
        for (int i = 0; i < scores.length; i++) {
            noted[i] = scores[i] > notes.threshold();
            if (i < committed) {
                int limit = memory.poolSizeAfter(i - i % memory.chunkSize() + memory.chunkSize());
                pool.limit(Math.max(limit, Math.max(1, pool.size())));
                pool.offer(scores[i], i, (float) notes.threshold());
            }
        }
        boolean[] kept = new boolean[scores.length];
        for (int i = 0; i < pool.size(); i++) {
            kept[(int) pool.position(i)] = true;
        }
        float[] gates = notes.gate().defined() ? Tensors.toFloats(notes.gate()) : new float[0];
        return new Layer(index, noted, kept, gates);
    }
}
