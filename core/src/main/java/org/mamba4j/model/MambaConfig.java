package org.mamba4j.model;

/** Placeholder. */
public record MambaConfig(String modelType, int vocabSize, int dModel, int nLayer) implements ModelConfig {}
