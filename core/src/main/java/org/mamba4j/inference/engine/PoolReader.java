package org.mamba4j.inference.engine;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.mamba4j.kernel.Activation;
import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;

/**
 * One way of reading notes, in a layer's own pool or in those of layers below: attention, a read gate, and the fusion with
 * the residual stream.
 *
 * <pre>
 * r_t     = σ(w_r · u_t + b_r), and 0 unless above τ2
 * logit_j = (W_q u_t) · (W_k s_j) / √s + log g_j;   one more, learned, for reading nothing
 * c_t     = W_v Σ_j softmax_j s_j
 * x̄_t     = x_t + r_t c_t                             (or another fusion)
 * </pre>
 *
 * <p>W_k meets the query only, so W_kᵀ W_q is multiplied out when the model is opened, and notes are read as they are.
 */
final class PoolReader {
    private final MemoryConfig memory;
    private final Matrix query; // W_kᵀ W_q (s, d)
    private final Matrix value; // (d, s)
    private final float nothing;
    private final boolean gated;
    private final Matrix gate; // (1, d)
    private final MemorySegment gateBias; // (1)
    private final Matrix fusion; // by variant
    private final MemorySegment fusionBias; // (d) or absent

    /** @param name of the tensors, up to the last dot */
    PoolReader(MemMambaConfig config, Weights weights, String name) {
        memory = config.memory();
        query = query(weights, name);
        value = weights.matrix(name + "value.weight");
        nothing = weights.scalar(name + "nothing");
        gated = weights.has(name + "gate.weight");
        Matrix none = new Matrix(weights.arena().allocate(0), WeightFormat.F32, 0, 0);
        gate = gated ? weights.matrix(name + "gate.weight") : none;
        gateBias = weights.optional(name + "gate.bias");
        boolean fused = weights.has(name + "fusion.weight");
        // The kernel of a convolution has float32 weights.
        fusion = fused ? floats(weights, name + "fusion.weight") : none;
        fusionBias = weights.optional(name + "fusion.bias");
    }

    private static Matrix floats(Weights weights, String name) {
        Matrix stored = weights.matrix(name);
        return new Matrix(weights.floats(name), WeightFormat.F32, stored.rows(), stored.columns());
    }

    private static Matrix query(Weights weights, String name) {
        Matrix key = weights.matrix(name + "key.weight"); // (s, s)
        Matrix from = weights.matrix(name + "query.weight"); // (s, d)
        int columns = from.columns();
        MemorySegment product = weights.arena().allocate(4L * from.rows() * columns, JavaState.ALIGNMENT);
        double[] row = new double[columns];
        for (int i = 0; i < key.columns(); i++) {
            Arrays.fill(row, 0);
            for (int j = 0; j < key.rows(); j++) {
                double factor = key.get(j, i);
                for (int c = 0; c < columns; c++) {
                    row[c] += factor * from.get(j, c);
                }
            }
            for (int c = 0; c < columns; c++) {
                product.setAtIndex(JAVA_FLOAT, (long) i * columns + c, (float) row[c]);
            }
        }
        return new Matrix(product, WeightFormat.F32, from.rows(), columns);
    }

    /**
     * The convolution of the fusion variant {@code conv} over given memory; none of the other variants.
     *
     * @param tail its last inputs (d, taps - 1), read and replaced; absent for other variants
     */
    List<ConvArguments> convolution(MemoryActivations m, MemorySegment tail) {
        if (!memory.fusion().equals("conv")) {
            return List.of();
        }
        return List.of(ConvArguments.builder()
                .x(m.value())
                .weight(fusion.data())
                .initialState(tail)
                .lastState(tail)
                .y(m.fused())
                .build());
    }

    /**
     * Reads.
     *
     * @param x the residual stream (1, L, d)
     * @param u its norm (1, L, d)
     * @param missed output: share of each token's attention that went to nothing (1, L, 1)
     * @param convolution as {@link #convolution} made it
     * @return what is to be added to the residual stream (1, L, d), in memory of {@code m}
     */
    Rows read(
            Rows x,
            Rows u,
            List<NoteTable> notes,
            MemoryActivations m,
            Rows missed,
            List<ConvArguments> convolution,
            Layer.Kernels kernels) {
        DenseKernels dense = kernels.dense();
        dense.multiply(query, u, MemorySegment.NULL, m.query());
        dense.attend(m.query(), notes, (float) (1 / Math.sqrt(memory.summarySize())), nothing, m.read(), missed);
        dense.multiply(value, m.read(), MemorySegment.NULL, m.value());
        if (memory.fusion().equals("gate")) {
            openGates(x, m, dense); // which looks at what was read before it is scaled
        }
        if (gated) {
            dense.multiply(gate, u, gateBias, m.gate());
            dense.activate(Activation.SIGMOID, m.gate());
            scaleByGate(m);
        }
        return fuse(x, m, convolution, kernels);
    }

    /** fused = σ(W [x; c] + b). */
    private void openGates(Rows x, MemoryActivations m, DenseKernels dense) {
        long row = 4L * x.channels();
        for (int t = 0; t < x.length(); t++) {
            MemorySegment.copy(x.memory(), t * row, m.both().memory(), 2L * t * row, row);
            MemorySegment.copy(m.value().memory(), t * row, m.both().memory(), (2L * t + 1) * row, row);
        }
        dense.multiply(fusion, m.both(), fusionBias, m.fused());
        dense.activate(Activation.SIGMOID, m.fused());
    }

    /** c = r c; for the variant plain the gate only decides who reads. */
    private void scaleByGate(MemoryActivations m) {
        boolean plain = memory.fusion().equals("plain");
        for (int t = 0; t < m.gate().length(); t++) {
            float r = m.gate().memory().getAtIndex(JAVA_FLOAT, t);
            float open = memory.readThreshold() > 0 && !(r > memory.readThreshold()) ? 0 : r;
            scaleRow(m.value(), t, plain && open > 0 ? 1 : open);
        }
    }

    /** x_t = factor · x_t. */
    static void scaleRow(Rows x, int t, float factor) {
        MemorySegment memory = x.memory();
        long from = (long) t * x.channels();
        for (long i = from; i < from + x.channels(); i++) {
            memory.setAtIndex(JAVA_FLOAT, i, factor * memory.getAtIndex(JAVA_FLOAT, i));
        }
    }

    private Rows fuse(Rows x, MemoryActivations m, List<ConvArguments> convolution, Layer.Kernels kernels) {
        return switch (memory.fusion()) {
            case "residual", "plain" -> m.value();
            case "product" -> multiplied(m.value(), x);
            case "gate" -> multiplied(m.value(), m.fused());
            case "scalar" -> {
                for (int t = 0; t < x.length(); t++) {
                    scaleRow(m.value(), t, fusion.get(0, 0));
                }
                yield m.value();
            }
            case "conv" -> {
                kernels.sequence().convForward(convolution.getFirst());
                yield m.fused();
            }
            default -> throw new IllegalStateException("fusion " + memory.fusion());
        };
    }

    /** x = x y. */
    private static Rows multiplied(Rows x, Rows y) {
        long count = (long) x.length() * x.channels();
        for (long i = 0; i < count; i++) {
            float product = x.memory().getAtIndex(JAVA_FLOAT, i) * y.memory().getAtIndex(JAVA_FLOAT, i);
            x.memory().setAtIndex(JAVA_FLOAT, i, product);
        }
        return x;
    }
}
