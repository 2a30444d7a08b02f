package org.mamba4j.inference.engine;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.mamba4j.kernel.Activation;
import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.memory.RandomImportance;
import org.mamba4j.model.MemMambaConfig;

/**
 * The memory of one layer: what it notes of each token, and what tokens read before the layer's mixer.
 *
 * <pre>
 * u_t = RMSNorm(x_t)
 * a_t = w2 · SiLU(W1 u_t + b1) + b2         importance (or chance): noted when a_t &gt; θ
 * s_t = tanh(W_n u_t + b_n)                 summary
 * x̄_t = x_t + what was read                 see {@link PoolReader}
 * </pre>
 *
 * <p>Pools change at the ends of chunks only. A pass of this engine never goes beyond one, so every token of a pass reads
 * the same pools, and they are committed between passes.
 */
final class MemoryLayer {
    private final MemMambaConfig config;
    private final int number;
    private final MemorySegment norm; // (d)
    private final Matrix scoreIn; // (d / 4, d)
    private final MemorySegment scoreInBias;
    private final Matrix scoreOut; // (1, d / 4)
    private final MemorySegment scoreOutBias;
    private final float threshold;
    private final Matrix summary; // (s, d)
    private final MemorySegment summaryBias;
    private final List<PoolReader> token; // one, or none
    private final List<PoolReader> below; // one, or none

    /** The memory of layer {@code number}, which takes notes. */
    MemoryLayer(MemMambaConfig config, Weights weights, int number) {
        String name = "backbone.layers." + number + ".memory.";
        this.config = config;
        this.number = number;
        norm = weights.floats(name + "norm.weight");
        scoreIn = weights.matrix(name + "score_in.weight");
        scoreInBias = weights.floats(name + "score_in.bias");
        scoreOut = weights.matrix(name + "score_out.weight");
        scoreOutBias = weights.floats(name + "score_out.bias");
        threshold = weights.scalar(name + "threshold");
        summary = weights.matrix(name + "summary.weight");
        summaryBias = weights.floats(name + "summary.bias");
        token = config.memory().crossToken() ? List.of(new PoolReader(config, weights, name + "token.")) : List.of();
        below = config.readsBelow(number) ? List.of(new PoolReader(config, weights, name + "layer.")) : List.of();
    }

    /**
     * What a pass needs of a state; for a single token it is the same for every token.
     *
     * @param pool of this layer
     * @param lower pools of the layers below that are read
     * @param tokenConv convolution of the fusion, or none
     * @param layerConv the same for reading the layers below
     */
    record Notes(NotePool pool, List<NoteTable> lower, List<ConvArguments> tokenConv, List<ConvArguments> layerConv) {}

    /**
     * @param tokenTail last inputs of the fusion's convolution (d, taps - 1), or absent
     * @param layerTail the same for reading the layers below
     */
    Notes notes(
            NotePool pool,
            List<NoteTable> lower,
            MemoryActivations m,
            MemorySegment tokenTail,
            MemorySegment layerTail) {
        return new Notes(
                pool,
                lower,
                token.isEmpty() ? List.of() : token.getFirst().convolution(m, tokenTail),
                below.isEmpty() ? List.of() : below.getFirst().convolution(m, layerTail));
    }

    /**
     * x += added; then {@code at.out} is what was read, if this layer reads.
     *
     * @param added what is still to be added to the residual stream, or absent
     * @param position of the first token in the text
     * @return {@code at.out}, or absent if nothing can be read
     */
    Rows forward(Activations at, Rows added, MemoryActivations m, Notes notes, long position, Layer.Kernels kernels) {
        DenseKernels dense = kernels.dense();
        Rows u = at.u();
        dense.addNorm(at.x(), added, norm, (float) config.mamba().normEpsilon(), u);
        dense.multiply(scoreIn, u, scoreInBias, m.hidden());
        dense.activate(Activation.SILU, m.hidden());
        dense.multiply(scoreOut, m.hidden(), scoreOutBias, m.score());
        dense.multiply(summary, u, summaryBias, m.summary());
        dense.activate(Activation.TANH, m.summary());
        take(m, notes.pool(), position);

        Rows all = Rows.ABSENT;
        if (!token.isEmpty()) {
            Rows term =
                    token.getFirst().read(at.x(), u, notes.pool().alone(), m, m.missed(), notes.tokenConv(), kernels);
            all = at.out();
            MemorySegment.copy(term.memory(), 0, all.memory(), 0, 4L * all.length() * all.channels());
        }
        if (!below.isEmpty()) {
            Rows term = below.getFirst().read(at.x(), u, notes.lower(), m, m.belowMissed(), notes.layerConv(), kernels);
            if (config.memory().crossLayerTrigger().equals("need") && !token.isEmpty()) {
                for (int t = 0; t < term.length(); t++) {
                    PoolReader.scaleRow(term, t, m.missed().memory().getAtIndex(JAVA_FLOAT, t));
                }
            }
            add(term, all.isPresent(), at.out());
            all = at.out();
        }
        return all;
    }

    private void take(MemoryActivations m, NotePool pool, long position) {
        int place = (int) (position % config.memory().chunkSize());
        boolean random = config.memory().notesAtRandom();
        for (int t = 0; t < m.score().length(); t++) {
            float a = random
                    ? RandomImportance.of(number, position + t)
                    : m.score().memory().getAtIndex(JAVA_FLOAT, t);
            pool.add(
                    place + t,
                    a,
                    a > threshold,
                    m.summary().memory(),
                    4L * t * config.memory().summarySize());
        }
    }

    private static void add(Rows term, boolean more, Rows sum) {
        long count = (long) sum.length() * sum.channels();
        for (long i = 0; i < count; i++) {
            float before = more ? sum.memory().getAtIndex(JAVA_FLOAT, i) : 0;
            sum.memory().setAtIndex(JAVA_FLOAT, i, before + term.memory().getAtIndex(JAVA_FLOAT, i));
        }
    }
}
