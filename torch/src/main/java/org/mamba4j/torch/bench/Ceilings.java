package org.mamba4j.torch.bench;

/**
 * What a machine can do at most, measured on it.
 *
 * @param bytesPerSecond that memory gives and takes in a large copy, reads and writes together
 * @param exponentialsPerSecond of float32, from registers or the first-level cache
 */
public record Ceilings(double bytesPerSecond, double exponentialsPerSecond) {}
