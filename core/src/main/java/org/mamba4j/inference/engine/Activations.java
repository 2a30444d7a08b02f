package org.mamba4j.inference.engine;

import java.lang.foreign.Arena;
import java.util.function.UnaryOperator;
import org.mamba4j.kernel.Rows;
import org.mamba4j.model.MambaConfig;

/**
 * What lies between the operations of a pass of L tokens; d model width, D inner width, N states, R rank of the time step.
 *
 * @param x residual stream (1, L, d)
 * @param u its norm (1, L, d)
 * @param out what is to be added to the residual stream (1, L, d)
 * @param inner output of in_proj (1, L, 2D)
 * @param conv output of the convolution (1, L, D)
 * @param selection output of x_proj (1, L, R + 2N)
 * @param delta output of dt_proj (1, L, D)
 * @param y output of the scan (1, L, D)
 */
record Activations(Rows x, Rows u, Rows out, Rows inner, Rows conv, Rows selection, Rows delta, Rows y) {
    static Activations allocate(MambaConfig config, int length, Arena arena) {
        int d = config.dModel();
        int inner = config.dInner();
        return new Activations(
                rows(arena, length, d),
                rows(arena, length, d),
                rows(arena, length, d),
                rows(arena, length, 2 * inner),
                rows(arena, length, inner),
                rows(arena, length, config.xProjSize()),
                rows(arena, length, inner),
                rows(arena, length, inner));
    }

    static Rows rows(Arena arena, int length, int channels) {
        return Rows.dense(
                arena.allocate((long) Float.BYTES * length * channels, JavaState.ALIGNMENT), 1, length, channels);
    }

    /** L. */
    int length() {
        return x.length();
    }

    /** The same memory for the first {@code count} tokens only. */
    Activations first(int count) {
        if (count == length()) {
            return this;
        }
        UnaryOperator<Rows> part = rows -> rows.steps(0, count);
        return new Activations(
                part.apply(x),
                part.apply(u),
                part.apply(out),
                part.apply(inner),
                part.apply(conv),
                part.apply(selection),
                part.apply(delta),
                part.apply(y));
    }
}
