package org.mamba4j.inference.engine;

import java.lang.foreign.MemorySegment;
import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.SequenceKernels;
import org.mamba4j.model.MambaConfig;

/**
 * One block of a Mamba, x + mixer(RMSNorm(x)): the weights, and what is computed with them. The sum is left to whoever
 * comes next, who takes its norm in the same breath.
 *
 * @param norm (d)
 * @param inProj (2D, d)
 * @param inBias (2D), or absent
 * @param conv (D, K)
 * @param convBias (D), or absent
 * @param xProj (R + 2N, D)
 * @param dtProj (D, R)
 * @param dtBias (D)
 * @param a (D, N), as it stands in the exponent
 * @param skip (D)
 * @param outProj (d, D)
 * @param outBias (d), or absent
 */
record Layer(
        MambaConfig config,
        MemorySegment norm,
        Matrix inProj,
        MemorySegment inBias,
        MemorySegment conv,
        MemorySegment convBias,
        Matrix xProj,
        Matrix dtProj,
        MemorySegment dtBias,
        MemorySegment a,
        MemorySegment skip,
        Matrix outProj,
        MemorySegment outBias) {
    /** Block {@code number} of {@code weights}. */
    static Layer of(MambaConfig config, Weights weights, int number) {
        String layer = "backbone.layers." + number + ".";
        String mixer = layer + "mixer.";
        return new Layer(
                config,
                weights.floats(layer + "norm.weight"),
                weights.matrix(mixer + "in_proj.weight"),
                weights.optional(mixer + "in_proj.bias"),
                weights.floats(mixer + "conv1d.weight"),
                weights.optional(mixer + "conv1d.bias"),
                weights.matrix(mixer + "x_proj.weight"),
                weights.matrix(mixer + "dt_proj.weight"),
                weights.floats(mixer + "dt_proj.bias"),
                weights.decay(mixer + "A_log"),
                weights.floats(mixer + "D"),
                weights.matrix(mixer + "out_proj.weight"),
                weights.optional(mixer + "out_proj.bias"));
    }

    /**
     * The two operations that begin where the tokens before ended, over given memory; for a single token they are the same
     * for every token.
     */
    record Sequence(ConvArguments conv, ScanArguments scan) {}

    /**
     * @param convState last inputs of the convolution (D, K - 1), read and replaced
     * @param ssmState the recurrence's h (D, N), read and replaced
     */
    Sequence sequence(Activations at, MemorySegment convState, MemorySegment ssmState) {
        int inner = config.dInner();
        int rank = config.dtRank();
        int states = config.dState();
        ConvArguments convolution = ConvArguments.builder()
                .x(at.inner().columns(0, inner))
                .weight(conv)
                .bias(convBias)
                .silu(true)
                .initialState(convState)
                .lastState(convState)
                .y(at.conv())
                .build();
        ScanArguments scan = ScanArguments.builder()
                .u(at.conv())
                .delta(at.delta())
                .a(a)
                .b(at.selection().columns(rank, states))
                .c(at.selection().columns(rank + states, states))
                .d(skip)
                .deltaBias(dtBias)
                .softplus(true)
                .z(at.inner().columns(inner, inner))
                .initialState(ssmState)
                .lastState(ssmState)
                .y(at.y())
                .build();
        return new Sequence(convolution, scan);
    }

    /**
     * x += added, then {@code at.out} is what the mixer makes of the norm of x.
     *
     * @param added what is still to be added to the residual stream, or absent
     * @param timeStep the first columns of {@code at.selection} (1, L, R)
     */
    void forward(Activations at, Rows added, Rows timeStep, Sequence sequence, Kernels kernels) {
        enter(at, added, kernels.dense());
        kernels.sequence().convForward(sequence.conv());
        select(at, timeStep, kernels.dense());
        kernels.sequence().scanForward(sequence.scan());
        leave(at, kernels.dense());
    }

    /** Norm and in_proj: x and {@code added} → {@code at.inner}. */
    void enter(Activations at, Rows added, DenseKernels dense) {
        dense.addNorm(at.x(), added, norm, (float) config.normEpsilon(), at.u());
        dense.multiply(inProj, at.u(), inBias, at.inner());
    }

    /** x_proj and dt_proj: {@code at.conv} → {@code at.selection}, {@code at.delta}. */
    void select(Activations at, Rows timeStep, DenseKernels dense) {
        dense.multiply(xProj, at.conv(), MemorySegment.NULL, at.selection());
        dense.multiply(dtProj, timeStep, MemorySegment.NULL, at.delta());
    }

    /** out_proj: {@code at.y} → {@code at.out}. */
    void leave(Activations at, DenseKernels dense) {
        dense.multiply(outProj, at.y(), outBias, at.out());
    }

    /** What computes. */
    record Kernels(DenseKernels dense, SequenceKernels sequence) {}
}
