package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.BYTES;
import static org.mamba4j.kernel.vector.Lanes.broadcast;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.store;
import static org.mamba4j.kernel.vector.Lanes.zero;
import static org.mamba4j.kernel.vector.ScanLayout.CHUNK;

import jdk.incubator.vector.FloatVector;

/** The passes of the forward scan, in the order in which they run; most are the backward scan's too. See {@link Pass}. */
final class ScanPasses {
    private ScanPasses() {}

    /** x = raw delta + bias, and e^-|x|, from which softplus and sigmoid are made. */
    static void deltaPowers(ScanFrame f) {
        powers(f.rawDelta, f.rawDeltaStride, load(f.bias), f.steps, f.x, f.power);
    }

    /** The same of the gate. */
    static void gatePowers(ScanFrame f) {
        powers(f.z, f.zStride, zero(), f.steps, f.x, f.power);
    }

    private static void powers(long rows, long stride, FloatVector add, int steps, long x, long power) {
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector sum = load(rows + t * stride).add(add);
            store(sum, x + at);
            store(VectorMath.exp(sum.abs().neg()), power + at);
        }
    }

    /** δ = softplus(x). */
    static void softplus(ScanFrame f) {
        long x = f.x;
        long power = f.power;
        long delta = f.delta;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            store(VectorMath.softplus(load(x + at), load(power + at)), delta + at);
        }
    }

    /** δ = raw delta + bias. */
    static void biased(ScanFrame f) {
        long raw = f.rawDelta;
        long stride = f.rawDeltaStride;
        long delta = f.delta;
        int steps = f.steps;
        FloatVector bias = load(f.bias);
        for (int t = 0; t < steps; t++) {
            store(load(raw + t * stride).add(bias), delta + (long) t * BYTES);
        }
    }

    /** δ u. */
    static void inputs(ScanFrame f) {
        long u = f.u;
        long stride = f.uStride;
        long delta = f.delta;
        long input = f.input;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            store(load(delta + at).mul(load(u + t * stride)), input + at);
        }
    }

    /** h_t = exp(δ A) h_{t-1} + δ u B_t, and y = C_t · h_t. */
    static void recurrence(ScanFrame f) {
        int steps = f.steps;
        int states = f.states;
        float[] matrices = f.matrices;
        long exponents = f.exponents;
        long state = f.state;
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector delta = load(f.delta + at);
            FloatVector input = load(f.input + at);
            FloatVector y = zero();
            int b = t * states;
            int c = (CHUNK + t) * states;
            for (int n = 0; n < states; n++) {
                long vector = (long) n * BYTES;
                FloatVector decay = VectorMath.exp2(delta.mul(load(exponents + vector)));
                FloatVector h = decay.fma(load(state + vector), input.mul(broadcast(matrices[b + n])));
                y = h.fma(broadcast(matrices[c + n]), y);
                store(h, state + vector);
            }
            store(y, f.y + at);
        }
    }

    /** y += D u. */
    static void skip(ScanFrame f) {
        long u = f.u;
        long stride = f.uStride;
        long y = f.y;
        int steps = f.steps;
        FloatVector weight = load(f.skip);
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            store(load(u + t * stride).fma(weight, load(y + at)), y + at);
        }
    }

    /** y silu(z), to the output. */
    static void gate(ScanFrame f) {
        long z = f.x;
        long power = f.power;
        long y = f.y;
        long to = f.to;
        long stride = f.toStride;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector gate = load(z + at);
            FloatVector sigmoid = VectorMath.sigmoid(gate, load(power + at));
            store(load(y + at).mul(gate.mul(sigmoid)), to + t * stride);
        }
    }

    /** y, to the output. */
    static void noGate(ScanFrame f) {
        long y = f.y;
        long to = f.to;
        long stride = f.toStride;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            store(load(y + (long) t * BYTES), to + t * stride);
        }
    }
}
