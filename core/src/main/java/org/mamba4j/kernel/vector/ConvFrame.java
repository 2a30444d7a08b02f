package org.mamba4j.kernel.vector;

/**
 * What the passes of a convolution work on: sizes, and addresses of vectors, one per step or per column of the kernel.
 * {@code window} holds the K - 1 inputs before the chunk, then those of the chunk; {@code dWindow} their gradients.
 */
final class ConvFrame {
    final int width;
    int steps;
    long window;
    /** K vectors, column 0 first. */
    long weight;

    long bias;
    long linear;
    long power;
    long to;
    long toStride;

    // Only in the backward pass.
    long gradY;
    long gradYStride;
    /** Gradient of y before its silu. */
    long dLinear;

    long dWindow;
    long dWeight;
    long dBias;

    ConvFrame(int width) {
        this.width = width;
    }
}
