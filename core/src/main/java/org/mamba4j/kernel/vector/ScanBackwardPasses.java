package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.BYTES;
import static org.mamba4j.kernel.vector.Lanes.broadcast;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.put;
import static org.mamba4j.kernel.vector.Lanes.store;
import static org.mamba4j.kernel.vector.Lanes.zero;
import static org.mamba4j.kernel.vector.ScanLayout.CHUNK;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/** The passes that only the backward scan has, in the order in which they run. See {@link Pass}. */
final class ScanBackwardPasses {
    /** Lanes exchanged with those so many places away. */
    private static final VectorShuffle<Float> BY_8 = exchange(8);

    private static final VectorShuffle<Float> BY_4 = exchange(4);
    private static final VectorShuffle<Float> BY_2 = exchange(2);
    private static final VectorShuffle<Float> BY_1 = exchange(1);

    private ScanBackwardPasses() {}

    /** Derivative of softplus. */
    static void slopes(ScanFrame f) {
        sigmoids(f.x, f.power, f.steps, f.slope);
    }

    /** Derivative of delta by raw delta without softplus. */
    static void noSlopes(ScanFrame f) {
        long slope = f.slope;
        int steps = f.steps;
        FloatVector one = broadcast(1f);
        for (int t = 0; t < steps; t++) {
            store(one, slope + (long) t * BYTES);
        }
    }

    /** sigmoid(z). */
    static void gateSigmoids(ScanFrame f) {
        sigmoids(f.x, f.power, f.steps, f.sigmoid);
    }

    private static void sigmoids(long x, long power, int steps, long to) {
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            store(VectorMath.sigmoid(load(x + at), load(power + at)), to + at);
        }
    }

    /** Gradient of y before the gate. */
    static void ungate(ScanFrame f) {
        long gradY = f.gradY;
        long stride = f.gradYStride;
        long z = f.x;
        long sigmoid = f.sigmoid;
        long dy = f.dy;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            store(load(gradY + t * stride).mul(load(z + at).mul(load(sigmoid + at))), dy + at);
        }
    }

    /** The same where there is no gate. */
    static void noUngate(ScanFrame f) {
        long gradY = f.gradY;
        long stride = f.gradYStride;
        long dy = f.dy;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            store(load(gradY + t * stride), dy + (long) t * BYTES);
        }
    }

    /** The forward recurrence again, every decay and state kept. */
    static void recompute(ScanFrame f) {
        int steps = f.steps;
        int states = f.states;
        float[] matrices = f.matrices;
        long exponents = f.exponents;
        long row = (long) states * BYTES;
        for (int t = 0; t < steps; t++) {
            FloatVector delta = load(f.delta + (long) t * BYTES);
            FloatVector input = load(f.input + (long) t * BYTES);
            FloatVector y = zero();
            long decays = f.decays + t * row;
            long before = f.states1 + t * row;
            int b = t * states;
            int c = (CHUNK + t) * states;
            for (int n = 0; n < states; n++) {
                long vector = (long) n * BYTES;
                FloatVector decay = VectorMath.exp2(delta.mul(load(exponents + vector)));
                FloatVector h = decay.fma(load(before + vector), input.mul(broadcast(matrices[b + n])));
                y = h.fma(broadcast(matrices[c + n]), y);
                store(decay, decays + vector);
                store(h, before + row + vector);
            }
            store(y, f.y + (long) t * BYTES);
        }
    }

    /** dh_t = dy_t C_t + exp(δ_{t+1} A) dh_{t+1}, from the last step to the first, and all sums over it. */
    static void reverse(ScanFrame f) {
        int states = f.states;
        float[] matrices = f.matrices;
        long row = (long) states * BYTES;
        long dState = f.dState;
        long dA = f.dAOfChunk;
        long exponents = f.exponents;
        for (int t = f.steps - 1; t >= 0; t--) {
            long at = (long) t * BYTES;
            FloatVector delta = load(f.delta + at);
            FloatVector input = load(f.input + at);
            FloatVector dy = load(f.dy + at);
            FloatVector dInput = zero();
            FloatVector dExponent = zero();
            long decays = f.decays + t * row;
            long before = f.states1 + t * row;
            long after = before + row;
            long dB = f.dB + t * row;
            long dC = f.dC + t * row;
            int b = t * states;
            int c = (CHUNK + t) * states;
            for (int n = 0; n < states; n++) {
                long vector = (long) n * BYTES;
                FloatVector dh = dy.fma(broadcast(matrices[c + n]), load(dState + vector));
                store(dy.fma(load(after + vector), load(dC + vector)), dC + vector);
                store(dh.fma(input, load(dB + vector)), dB + vector);
                dInput = dh.fma(broadcast(matrices[b + n]), dInput);
                FloatVector decayed = dh.mul(load(decays + vector));
                store(decayed, dState + vector);
                FloatVector product = decayed.mul(load(before + vector));
                store(product.fma(delta, load(dA + vector)), dA + vector);
                dExponent = product.fma(load(exponents + vector), dExponent);
            }
            store(dInput, f.dInput + at);
            store(dExponent, f.dExponent + at);
        }
    }

    /** Adds the chunk's gradient of A to the whole one: shorter sums round less. */
    static void collect(ScanFrame f) {
        long from = f.dAOfChunk;
        long to = f.dA;
        int states = f.states;
        for (int n = 0; n < states; n++) {
            long vector = (long) n * BYTES;
            store(load(to + vector).add(load(from + vector)), to + vector);
            store(zero(), from + vector);
        }
    }

    /** Gradients of u and of raw delta, and sums for those of D and the bias. */
    static void inputGradients(ScanFrame f) {
        int steps = f.steps;
        FloatVector skip = load(f.skip);
        FloatVector dSkip = zero();
        FloatVector dBias = zero();
        FloatVector ln2 = broadcast(VectorMath.LN_2);
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector u = load(f.u + t * f.uStride);
            FloatVector dy = load(f.dy + at);
            FloatVector dInput = load(f.dInput + at);
            store(dy.fma(skip, dInput.mul(load(f.delta + at))), f.toU + t * f.toUStride);
            dSkip = dy.fma(u, dSkip);
            FloatVector dDelta = dInput.fma(u, load(f.dExponent + at).mul(ln2)).mul(load(f.slope + at));
            store(dDelta, f.toDelta + t * f.toDeltaStride);
            dBias = dBias.add(dDelta);
        }
        store(load(f.dSkip).add(dSkip), f.dSkip);
        store(load(f.dBias).add(dBias), f.dBias);
    }

    /** Gradient of z: that of the output, times y before the gate, times the derivative of silu. */
    static void gateGradients(ScanFrame f) {
        int steps = f.steps;
        FloatVector one = broadcast(1f);
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector sigmoid = load(f.sigmoid + at);
            FloatVector silu = sigmoid.mul(load(f.x + at).fma(one.sub(sigmoid), one));
            store(load(f.gradY + t * f.gradYStride).mul(load(f.y + at)).mul(silu), f.toZ + t * f.toZStride);
        }
    }

    /**
     * Sums each vector at {@code f.x} over its lanes into a float at {@code f.to}: {@code f.steps} of them. Not by {@code
     * reduceLanes}, whose order of additions may change when the method is compiled.
     */
    static void sumLanes(ScanFrame f) {
        long from = f.x;
        long to = f.to;
        int vectors = f.steps;
        for (int i = 0; i < vectors; i++) {
            FloatVector v = load(from + (long) i * BYTES);
            if (Lanes.COUNT > 8) {
                v = v.add(v.rearrange(BY_8));
            }
            if (Lanes.COUNT > 4) {
                v = v.add(v.rearrange(BY_4));
            }
            v = v.add(v.rearrange(BY_2));
            v = v.add(v.rearrange(BY_1));
            put(to + 4L * i, v.lane(0));
        }
    }

    private static VectorShuffle<Float> exchange(int distance) {
        return VectorShuffle.fromOp(Lanes.FLOATS, lane -> (lane ^ distance) % Lanes.COUNT);
    }
}
