package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.mamba4j.kernel.Check.present;
import static org.mamba4j.kernel.PlainScan.at;
import static org.mamba4j.kernel.PlainScan.sigmoid;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** The causal convolution as its formula stands in {@link SequenceKernels}. */
final class PlainConv {
    private PlainConv() {}

    static void forward(ConvArguments s) {
        // The state is read whole before it is written, because both may be the same memory.
        double[] last = new double[s.width() - 1];
        for (int b = 0; b < s.batch(); b++) {
            for (int d = 0; d < s.channels(); d++) {
                for (int k = 0; k < last.length; k++) {
                    last[k] = input(s, b, s.length() - last.length + k, d);
                }
                for (int t = 0; t < s.length(); t++) {
                    double linear = linear(s, b, t, d);
                    s.y().set(b, t, d, s.silu() ? linear * sigmoid(linear) : linear);
                }
                if (present(s.lastState())) {
                    for (int k = 0; k < last.length; k++) {
                        s.lastState().setAtIndex(JAVA_FLOAT_UNALIGNED, stateIndex(s, b, d) + k, (float) last[k]);
                    }
                }
            }
        }
    }

    static void backward(ConvArguments s, ConvGradients g) {
        int width = s.width();
        int length = s.length();
        double[] dWeight = new double[width];
        // Gradients of all inputs that the channel sees: the state's K - 1, then the L of x.
        double[] dInput = new double[length + width - 1];
        for (int d = 0; d < s.channels(); d++) {
            Arrays.fill(dWeight, 0);
            double dBias = 0;
            for (int b = 0; b < s.batch(); b++) {
                Arrays.fill(dInput, 0);
                for (int k = 0; k < width - 1 && present(g.lastState()); k++) {
                    dInput[length + k] += at(g.lastState(), stateIndex(s, b, d) + k);
                }
                for (int t = 0; t < length; t++) {
                    double dLinear = g.y().get(b, t, d);
                    if (s.silu()) {
                        double linear = linear(s, b, t, d);
                        dLinear *= sigmoid(linear) * (1 + linear * (1 - sigmoid(linear)));
                    }
                    dBias += dLinear;
                    for (int k = 0; k < width; k++) {
                        dWeight[k] += dLinear * input(s, b, t - width + 1 + k, d);
                        dInput[t + k] += dLinear * at(s.weight(), (long) d * width + k);
                    }
                }
                for (int k = 0; k < width - 1 && present(g.initialState()); k++) {
                    g.initialState().setAtIndex(JAVA_FLOAT_UNALIGNED, stateIndex(s, b, d) + k, (float) dInput[k]);
                }
                for (int t = 0; t < length && g.x().isPresent(); t++) {
                    g.x().set(b, t, d, dInput[width - 1 + t]);
                }
            }
            store(g.weight(), (long) d * width, dWeight);
            store(g.bias(), d, dBias);
        }
    }

    /** y_t before its silu. */
    private static double linear(ConvArguments s, int b, int t, int d) {
        int width = s.width();
        double sum = present(s.bias()) ? at(s.bias(), d) : 0;
        for (int k = 0; k < width; k++) {
            sum += at(s.weight(), (long) d * width + k) * input(s, b, t - width + 1 + k, d);
        }
        return sum;
    }

    /** x_t, where t from -(K - 1) to -1 means the initial state. */
    private static double input(ConvArguments s, int b, int t, int d) {
        if (t >= 0) {
            return s.x().get(b, t, d);
        }
        return present(s.initialState()) ? at(s.initialState(), stateIndex(s, b, d) + s.width() - 1 + t) : 0;
    }

    private static long stateIndex(ConvArguments s, int b, int d) {
        return ((long) b * s.channels() + d) * (s.width() - 1);
    }

    private static void store(MemorySegment memory, long index, double... values) {
        for (int k = 0; k < values.length && present(memory); k++) {
            memory.setAtIndex(JAVA_FLOAT_UNALIGNED, index + k, (float) values[k]);
        }
    }
}
