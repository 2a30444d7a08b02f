package org.mamba4j.model;

/**
 * The configuration of one model family: everything that fixes the shapes of its parameters and the function that it
 * computes, and nothing about training. A record per family; sizes that follow from others are methods.
 */
public sealed interface ModelConfig permits MambaConfig {
    /** Name of the family as {@code model_type} of config.json has it, for example {@code mamba}. */
    String modelType();

    /** Rows of the embedding, padding included; the width of the logits. */
    int vocabSize();

    /** Width of the residual stream (d). */
    int dModel();

    /** Number of blocks. */
    int nLayer();
}
