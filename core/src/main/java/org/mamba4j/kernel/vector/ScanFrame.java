package org.mamba4j.kernel.vector;

/**
 * What the passes of a scan work on: sizes, and addresses of vectors. Names of the form {@code xStride} are bytes from one
 * step of x to the next; arrays without one are contiguous, a vector per step, or per step and state.
 */
final class ScanFrame {
    int steps;
    final int states;
    /** B of the chunk's steps, then, from {@link ScanLayout#CHUNK} · states on, C. */
    final float[] matrices;

    // Inputs.
    long u;
    long uStride;
    long rawDelta;
    long rawDeltaStride;
    long z;
    long zStride;
    long bias;
    long skip;
    /** A · log2(e), as powers of two are cheaper than powers of e. */
    long exponents;

    // Made on the way.
    long x;
    long power;
    long delta;
    long input;
    long y;

    /** The state: before the chunk, then after it. */
    long state;

    // The output.
    long to;
    long toStride;

    // Only in the backward pass.
    long gradY;
    long gradYStride;
    /** Derivative of delta by raw delta. */
    long slope;

    long sigmoid;
    /** Gradient of y before its gate. */
    long dy;
    /** All decays exp(δA) of the chunk, and all states, from that before its first step on. */
    long decays;

    long states1;
    /** Gradient of the state: after the chunk, then before it. */
    long dState;
    /** Σ_n dh B and Σ_n dh h exp(δA) A log2(e) of each step. */
    long dInput;

    long dExponent;
    /** Sums over the channels of each lane, for each step and state. */
    long dB;

    long dC;
    /** Sums over the chunk, and over all chunks so far. */
    long dAOfChunk;

    long dA;
    long dSkip;
    long dBias;
    long toU;
    long toUStride;
    long toDelta;
    long toDeltaStride;
    long toZ;
    long toZStride;

    ScanFrame(int states, float[] matrices) {
        this.states = states;
        this.matrices = matrices;
    }
}
