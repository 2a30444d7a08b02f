package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.BYTES;
import static org.mamba4j.kernel.vector.Lanes.broadcast;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.store;
import static org.mamba4j.kernel.vector.Lanes.zero;

import jdk.incubator.vector.FloatVector;

/** The loops of the causal convolution, forward and backward. See {@link Pass} for why each is by itself. */
final class ConvPasses {
    private ConvPasses() {}

    /** One loop over the steps of a chunk of one block. */
    @FunctionalInterface
    interface Loop {
        void run(ConvFrame frame);
    }

    /** bias + Σ_k weight_k x_{t-K+1+k}. */
    static void sums(ConvFrame f) {
        int steps = f.steps;
        int width = f.width;
        long weight = f.weight;
        FloatVector bias = load(f.bias);
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector sum = bias;
            for (int k = 0; k < width; k++) {
                long column = (long) k * BYTES;
                sum = load(weight + column).fma(load(f.window + at + column), sum);
            }
            store(sum, f.linear + at);
        }
    }

    /** The same with the kernel of width 4, that of all published models, in registers. */
    static void sums4(ConvFrame f) {
        int steps = f.steps;
        long window = f.window;
        long linear = f.linear;
        FloatVector bias = load(f.bias);
        FloatVector w0 = load(f.weight);
        FloatVector w1 = load(f.weight + BYTES);
        FloatVector w2 = load(f.weight + 2L * BYTES);
        FloatVector w3 = load(f.weight + 3L * BYTES);
        FloatVector x0 = load(window);
        FloatVector x1 = load(window + BYTES);
        FloatVector x2 = load(window + 2L * BYTES);
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector x3 = load(window + at + 3L * BYTES);
            store(w3.fma(x3, w2.fma(x2, w1.fma(x1, w0.fma(x0, bias)))), linear + at);
            x0 = x1;
            x1 = x2;
            x2 = x3;
        }
    }

    /** e^-|linear|. */
    static void powers(ConvFrame f) {
        long linear = f.linear;
        long power = f.power;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            store(VectorMath.exp(load(linear + at).abs().neg()), power + at);
        }
    }

    /** y = silu(linear). */
    static void silu(ConvFrame f) {
        long linear = f.linear;
        long power = f.power;
        long to = f.to;
        long stride = f.toStride;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector x = load(linear + at);
            store(x.mul(VectorMath.sigmoid(x, load(power + at))), to + t * stride);
        }
    }

    /** y = linear. */
    static void noSilu(ConvFrame f) {
        long linear = f.linear;
        long to = f.to;
        long stride = f.toStride;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            store(load(linear + (long) t * BYTES), to + t * stride);
        }
    }

    /** Gradient of y before its silu. */
    static void siluGradients(ConvFrame f) {
        int steps = f.steps;
        FloatVector one = broadcast(1f);
        for (int t = 0; t < steps; t++) {
            long at = (long) t * BYTES;
            FloatVector x = load(f.linear + at);
            FloatVector sigmoid = VectorMath.sigmoid(x, load(f.power + at));
            FloatVector slope = sigmoid.mul(x.fma(one.sub(sigmoid), one));
            store(load(f.gradY + t * f.gradYStride).mul(slope), f.dLinear + at);
        }
    }

    /** The same without silu. */
    static void noSiluGradients(ConvFrame f) {
        long gradY = f.gradY;
        long stride = f.gradYStride;
        long dLinear = f.dLinear;
        int steps = f.steps;
        for (int t = 0; t < steps; t++) {
            store(load(gradY + t * stride), dLinear + (long) t * BYTES);
        }
    }

    /** Adds to the gradients of the inputs, column by column, and to those of weight and bias. */
    static void gradients(ConvFrame f) {
        int steps = f.steps;
        int width = f.width;
        long dLinear = f.dLinear;
        for (int k = 0; k < width; k++) {
            long column = (long) k * BYTES;
            FloatVector weight = load(f.weight + column);
            FloatVector dWeight = zero();
            long window = f.window + column;
            long dWindow = f.dWindow + column;
            for (int t = 0; t < steps; t++) {
                long at = (long) t * BYTES;
                FloatVector d = load(dLinear + at);
                store(d.fma(weight, load(dWindow + at)), dWindow + at);
                dWeight = d.fma(load(window + at), dWeight);
            }
            store(load(f.dWeight + column).add(dWeight), f.dWeight + column);
        }
    }

    /** Adds to the gradient of the bias. */
    static void biasGradients(ConvFrame f) {
        long dLinear = f.dLinear;
        int steps = f.steps;
        FloatVector sum = zero();
        for (int t = 0; t < steps; t++) {
            sum = sum.add(load(dLinear + (long) t * BYTES));
        }
        store(load(f.dBias).add(sum), f.dBias);
    }
}
