package org.mamba4j.tasks;

/**
 * One model among several.
 *
 * @param model its name
 * @param result what was measured
 */
public record ModelPerplexity(String model, PerplexityResult result) {}
