package org.mamba4j.experiments;

import java.util.stream.IntStream;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.GptNeoxConfig;
import org.mamba4j.model.LayerParts;
import org.mamba4j.model.LlamaConfig;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.model.MambaStack;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.model.ModelConfig;
import org.mamba4j.model.RecurrentConfig;
import org.mamba4j.model.TensorSpec;

/**
 * Floating point operations of a model, counted, not measured: a multiplication and an addition are two.
 *
 * <p>Every weight matrix multiplies each token's vector once, 2 operations for each of its numbers, the head included and the
 * look-up of the embedding not [1]. To that comes what mixes tokens, by family:
 *
 * <ul>
 *   <li>causal attention: a token looks at (L + 1) / 2 others on average, 4 H n for each (product and sum of values);
 *   <li>selective scan: 7 D N (Δ A, its exponential, Δ u B, decay, two sums, C) and 3 D;
 *   <li>long convolution: three real transforms of the least power of two from 2 L on, 2.5 log₂ of it for each of its
 *       numbers, and 3 D for the product, whatever machine would do better;
 *   <li>LSTM and GRU cells: 10 d for gates and state;
 *   <li>a memory: 4 s for each place of a pool that a token looks at, in its own layer and in those below.
 * </ul>
 *
 * <p>Norms, activations and residuals are left out, as is usual, and so is what draws the kernel of a long convolution: it
 * does so once for all sequences of a batch. A training step counts as three forward passes.
 *
 * <p>Reference: [1] J. Kaplan et al.: Scaling Laws for Neural Language Models, arXiv 2001.08361, section 2.1.
 */
final class Flops {
    private static final int PASSES_OF_TRAINING = 3;

    private Flops() {}

    /** Of training on a token, in sequences of {@code length}. */
    static double trainingPerToken(ModelConfig config, int length) {
        return PASSES_OF_TRAINING * forwardPerToken(config, length);
    }

    /** Of a forward pass, for a token on average, in sequences of {@code length}. */
    static double forwardPerToken(ModelConfig config, int length) {
        boolean tied = config.head().name().equals(config.embedding().name());
        double matrices = 0;
        for (TensorSpec spec : config.parameters()) {
            boolean lookedUp = (!tied && spec.name().equals(config.embedding().name()))
                    || spec.name().equals(LlamaConfig.POSITIONS);
            if (isMatrix(spec) && !lookedUp) {
                matrices += 2.0 * spec.shape().elements();
            }
        }
        return matrices + mixing(config, length);
    }

    /** What multiplies vectors of tokens; A and other coefficients of scans are counted with them. */
    private static boolean isMatrix(TensorSpec spec) {
        return spec.shape().rank() >= 2
                && !spec.name().contains(".filter.")
                && (spec.name().endsWith(".weight") || spec.name().contains(".weight_"));
    }

    private static double mixing(ModelConfig config, int length) {
        return switch (config) {
            case LlamaConfig llama -> attention(llama.nLayer(), llama.nHeads() * llama.headSize(), length);
            case GptNeoxConfig neox -> attention(neox.nLayer(), neox.dModel(), length);
            case MemMambaConfig memory -> scans(memory) + notes(memory);
            case MambaConfig mamba -> scans(mamba);
            case RecurrentConfig cells -> 10.0 * cells.nLayer() * cells.dModel();
            case ComposedConfig composed ->
                IntStream.range(0, composed.nLayer())
                        .mapToObj(composed::layer)
                        .mapToDouble(layer -> mixing(layer, length))
                        .sum();
            default ->
                throw new IllegalArgumentException(
                        "the operations of a " + config.modelType() + " are not counted here: add them to Flops");
        };
    }

    private static double mixing(LayerParts layer, int length) {
        int channels = layer.model().dInner();
        return layer.innerLayer().equals("s6") ? scan(channels, layer.dState()) : channels * convolution(length);
    }

    private static double attention(int layers, int width, int length) {
        return 4.0 * layers * width * (length + 1) / 2;
    }

    private static double scans(MambaStack stack) {
        MambaConfig mamba = stack.mamba();
        return mamba.nLayer() * scan(mamba.dInner(), mamba.dState());
    }

    private static double scan(int channels, int states) {
        return 7.0 * channels * states + 3.0 * channels;
    }

    private static double notes(MemMambaConfig config) {
        MemoryConfig memory = config.memory();
        int pools = 0;
        for (int layer = 0; layer < config.nLayer(); layer++) {
            pools += memory.crossToken() && config.takesNotes(layer) ? 1 : 0;
            pools += config.readsBelow(layer) ? config.layersBelow(layer).size() : 0;
        }
        return 4.0 * pools * memory.summarySize() * memory.poolSize();
    }

    /** Of a token and a channel. */
    private static double convolution(int length) {
        double size = 2.0 * Long.highestOneBit(Math.max(1, 2L * length - 1));
        return 3 * 2.5 * size * (Math.log(size) / Math.log(2)) / length + 3;
    }
}
