package org.mamba4j.inference.engine;

import java.lang.foreign.Arena;
import java.util.function.UnaryOperator;
import org.mamba4j.kernel.Rows;
import org.mamba4j.model.MemMambaConfig;

/**
 * What lies between the operations of a memory, for a pass of L tokens; d model width, s summary.
 *
 * @param hidden of the importance scorer (1, L, d / 4)
 * @param score importance (1, L, 1)
 * @param summary (1, L, s)
 * @param query (1, L, s)
 * @param read (1, L, s)
 * @param missed share of attention on nothing in the layer's own notes (1, L, 1)
 * @param belowMissed the same in the notes of layers below (1, L, 1)
 * @param gate read gate (1, L, 1)
 * @param value what was read (1, L, d)
 * @param fused of the fusion that needs room of its own (1, L, d)
 * @param both residual stream and what was read (1, L, 2d)
 */
record MemoryActivations(
        Rows hidden,
        Rows score,
        Rows summary,
        Rows query,
        Rows read,
        Rows missed,
        Rows belowMissed,
        Rows gate,
        Rows value,
        Rows fused,
        Rows both) {
    /** Of a model without a memory. */
    static final MemoryActivations NONE = new MemoryActivations(
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT,
            Rows.ABSENT);

    static MemoryActivations allocate(MemMambaConfig config, int length, Arena arena) {
        int d = config.dModel();
        int s = config.memory().summarySize();
        return new MemoryActivations(
                Activations.rows(arena, length, config.scorerSize()),
                Activations.rows(arena, length, 1),
                Activations.rows(arena, length, s),
                Activations.rows(arena, length, s),
                Activations.rows(arena, length, s),
                Activations.rows(arena, length, 1),
                Activations.rows(arena, length, 1),
                Activations.rows(arena, length, 1),
                Activations.rows(arena, length, d),
                Activations.rows(arena, length, d),
                Activations.rows(arena, length, 2 * d));
    }

    /** The same memory for the first {@code count} tokens only. */
    MemoryActivations first(int count) {
        if (count == score.length() || !score.isPresent()) {
            return this;
        }
        UnaryOperator<Rows> part = rows -> rows.steps(0, count);
        return new MemoryActivations(
                part.apply(hidden),
                part.apply(score),
                part.apply(summary),
                part.apply(query),
                part.apply(read),
                part.apply(missed),
                part.apply(belowMissed),
                part.apply(gate),
                part.apply(value),
                part.apply(fused),
                part.apply(both));
    }
}
