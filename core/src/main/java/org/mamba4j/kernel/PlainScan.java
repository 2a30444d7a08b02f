package org.mamba4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.mamba4j.kernel.Check.present;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** The selective scan as its formulas stand in {@link SequenceKernels}. */
final class PlainScan {
    /** Steps from one checkpoint to the next. */
    static final int CHUNK = 64;

    private PlainScan() {}

    static int chunks(int length) {
        return Math.ceilDiv(length, CHUNK);
    }

    static void forward(ScanArguments s) {
        double[] h = new double[s.states()];
        for (int b = 0; b < s.batch(); b++) {
            for (int d = 0; d < s.channels(); d++) {
                load(s.initialState(), stateIndex(s, b, d), h);
                for (int t = 0; t < s.length(); t++) {
                    if (t % CHUNK == 0 && present(s.checkpoints())) {
                        store(s.checkpoints(), checkpointIndex(s, b, t / CHUNK, d), h);
                    }
                    s.y().set(b, t, d, step(s, b, t, d, h) * gate(s, b, t, d));
                }
                if (present(s.lastState())) {
                    store(s.lastState(), stateIndex(s, b, d), h);
                }
            }
        }
    }

    static void backward(ScanArguments s, ScanGradients g) {
        int states = s.states();
        zero(g.b());
        zero(g.c());
        double[] dA = new double[states];
        double[] dh = new double[states];
        double[][] h = new double[CHUNK + 1][states];
        for (int d = 0; d < s.channels(); d++) {
            Arrays.fill(dA, 0);
            double dD = 0;
            double dBias = 0;
            for (int b = 0; b < s.batch(); b++) {
                load(g.lastState(), stateIndex(s, b, d), dh);
                for (int chunk = chunks(s.length()) - 1; chunk >= 0; chunk--) {
                    int start = chunk * CHUNK;
                    int end = Math.min(s.length(), start + CHUNK);
                    load(s.checkpoints(), checkpointIndex(s, b, chunk, d), h[0]);
                    for (int t = start; t < end; t++) {
                        System.arraycopy(h[t - start], 0, h[t - start + 1], 0, states);
                        step(s, b, t, d, h[t - start + 1]);
                    }
                    for (int t = end - 1; t >= start; t--) {
                        double dy = g.y().get(b, t, d);
                        dD += dy * gate(s, b, t, d) * s.u().get(b, t, d);
                        dBias += stepBackward(s, g, b, t, d, dy, h[t - start], h[t - start + 1], dh, dA);
                    }
                }
                if (present(g.initialState())) {
                    store(g.initialState(), stateIndex(s, b, d), dh);
                }
            }
            if (present(g.a())) {
                store(g.a(), (long) d * states, dA);
            }
            if (present(g.d())) {
                g.d().setAtIndex(JAVA_FLOAT_UNALIGNED, d, (float) dD);
            }
            if (present(g.deltaBias())) {
                g.deltaBias().setAtIndex(JAVA_FLOAT_UNALIGNED, d, (float) dBias);
            }
        }
    }

    /** Advances {@code h} by step t and returns y before the gate. */
    private static double step(ScanArguments s, int b, int t, int d, double[] h) {
        double u = s.u().get(b, t, d);
        double x = biasedDelta(s, b, t, d);
        double delta = s.softplus() ? softplus(x) : x;
        double y = present(s.d()) ? at(s.d(), d) * u : 0;
        for (int n = 0; n < h.length; n++) {
            h[n] = Math.exp(delta * a(s, d, n)) * h[n] + delta * u * s.b().get(b, t, n);
            y += s.c().get(b, t, n) * h[n];
        }
        return y;
    }

    /**
     * Takes the gradient {@code dh} of the state after step t to that before it, writes or adds what step t contributes
     * to the other gradients, and returns the gradient of delta + bias.
     */
    private static double stepBackward(
            ScanArguments s,
            ScanGradients g,
            int b,
            int t,
            int d,
            double gradY,
            double[] before,
            double[] after,
            double[] dh,
            double[] dA) {
        double u = s.u().get(b, t, d);
        double x = biasedDelta(s, b, t, d);
        double delta = s.softplus() ? softplus(x) : x;
        double skip = present(s.d()) ? at(s.d(), d) : 0;
        double dy = gradY * gate(s, b, t, d);
        double ungated = skip * u;
        double dInput = 0;
        double dDelta = 0;
        for (int n = 0; n < before.length; n++) {
            double decay = Math.exp(delta * a(s, d, n));
            ungated += s.c().get(b, t, n) * after[n];
            dh[n] += dy * s.c().get(b, t, n);
            add(g.c(), b, t, n, dy * after[n]);
            add(g.b(), b, t, n, dh[n] * delta * u);
            dInput += dh[n] * s.b().get(b, t, n);
            double dExponent = dh[n] * before[n] * decay;
            dA[n] += dExponent * delta;
            dDelta += dExponent * a(s, d, n);
            dh[n] *= decay;
        }
        dDelta += dInput * u;
        double dX = s.softplus() ? dDelta * sigmoid(x) : dDelta;
        if (g.delta().isPresent()) {
            g.delta().set(b, t, d, dX);
        }
        if (g.u().isPresent()) {
            g.u().set(b, t, d, dy * skip + dInput * delta);
        }
        if (g.z().isPresent()) {
            double z = s.z().get(b, t, d);
            g.z().set(b, t, d, gradY * ungated * sigmoid(z) * (1 + z * (1 - sigmoid(z))));
        }
        return dX;
    }

    private static double biasedDelta(ScanArguments s, int b, int t, int d) {
        return s.delta().get(b, t, d) + (present(s.deltaBias()) ? at(s.deltaBias(), d) : 0.0);
    }

    private static double gate(ScanArguments s, int b, int t, int d) {
        if (!s.z().isPresent()) {
            return 1;
        }
        double z = s.z().get(b, t, d);
        return z * sigmoid(z);
    }

    private static double a(ScanArguments s, int d, int n) {
        return at(s.a(), (long) d * s.states() + n);
    }

    static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    static double softplus(double x) {
        return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x));
    }

    private static long stateIndex(ScanArguments s, int b, int d) {
        return ((long) b * s.channels() + d) * s.states();
    }

    private static long checkpointIndex(ScanArguments s, int b, int chunk, int d) {
        return (((long) b * chunks(s.length()) + chunk) * s.channels() + d) * s.states();
    }

    static double at(MemorySegment memory, long index) {
        return memory.getAtIndex(JAVA_FLOAT_UNALIGNED, index);
    }

    /** Fills {@code values} from {@code memory}, or with zeros where that is absent. */
    private static void load(MemorySegment memory, long index, double[] values) {
        for (int n = 0; n < values.length; n++) {
            values[n] = present(memory) ? at(memory, index + n) : 0;
        }
    }

    private static void store(MemorySegment memory, long index, double[] values) {
        for (int n = 0; n < values.length; n++) {
            memory.setAtIndex(JAVA_FLOAT_UNALIGNED, index + n, (float) values[n]);
        }
    }

    private static void add(Rows sum, int b, int t, int n, double value) {
        if (sum.isPresent()) {
            sum.set(b, t, n, sum.get(b, t, n) + value);
        }
    }

    private static void zero(Rows rows) {
        for (int b = 0; b < rows.batch(); b++) {
            for (int t = 0; t < rows.length(); t++) {
                for (int c = 0; c < rows.channels(); c++) {
                    rows.set(b, t, c, 0);
                }
            }
        }
    }
}
