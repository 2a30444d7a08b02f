package org.mamba4j.kernel;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The oracle: the recurrence and its derivative in float64, every state kept, written for the tests and sharing nothing
 * with any implementation.
 */
final class ScanRecurrence {
    private final ScanCase s;
    private final Map<String, ExactSums> results = new LinkedHashMap<>();

    private ScanRecurrence(ScanCase s) {
        this.s = s;
    }

    /** Outputs {@code y}, {@code lastState} and gradients {@code grad u}, {@code grad delta}, … of everything present. */
    static Map<String, ExactSums> run(ScanCase s) {
        ScanRecurrence recurrence = new ScanRecurrence(s);
        recurrence.run();
        return recurrence.results;
    }

    private void run() {
        ExactSums y = result("y", s.u().length);
        ExactSums last = result("lastState", s.batch() * s.channels() * s.states());
        ExactSums dU = result("grad u", s.u().length);
        ExactSums dDelta = result("grad delta", s.u().length);
        ExactSums dA = result("grad a", s.a().length);
        ExactSums dB = result("grad b", s.b().length);
        ExactSums dC = result("grad c", s.c().length);
        ExactSums dD = result("grad d", s.d().length);
        ExactSums dBias = result("grad deltaBias", s.deltaBias().length);
        ExactSums dZ = result("grad z", s.z().length);
        ExactSums dInitial = result("grad initialState", s.batch() * s.channels() * s.states());
        int states = s.states();
        double[][] h = new double[s.length() + 1][states];
        for (int b = 0; b < s.batch(); b++) {
            for (int d = 0; d < s.channels(); d++) {
                int state = (b * s.channels() + d) * states;
                for (int n = 0; n < states; n++) {
                    h[0][n] = s.initialState().length > 0 ? s.initialState()[state + n] : 0;
                }
                for (int t = 0; t < s.length(); t++) {
                    int row = b * s.length() + t;
                    int i = row * s.channels() + d;
                    double gate = gate(i);
                    double gateGradient = gateGradient(i);
                    y.add(i, skip(d) * s.u()[i] * gate);
                    gateGradients(dZ, i, skip(d) * s.u()[i] * gateGradient);
                    for (int n = 0; n < states; n++) {
                        h[t + 1][n] = decay(i, d, n) * before(h, row, t, n)
                                + delta(i, d) * s.b()[row * states + n] * s.u()[i];
                        double term = s.c()[row * states + n] * h[t + 1][n];
                        y.add(i, term * gate);
                        gateGradients(dZ, i, term * gateGradient);
                    }
                }
                double[] dh = new double[states];
                for (int n = 0; n < states; n++) {
                    last.add(state + n, h[s.length()][n]);
                    dh[n] = s.gradLastState().length > 0 ? s.gradLastState()[state + n] : 0;
                }
                for (int t = s.length() - 1; t >= 0; t--) {
                    int row = b * s.length() + t;
                    int i = row * s.channels() + d;
                    double u = s.u()[i];
                    double dy = s.gradY()[i] * gate(i);
                    double stepSlope = s.softplus() ? 1 / (1 + Math.exp(-biased(i, d))) : 1;
                    dU.add(i, dy * skip(d));
                    for (int n = 0; n < states; n++) {
                        int j = row * states + n;
                        dh[n] += dy * s.c()[j];
                        dC.add(j, dy * h[t + 1][n]);
                        dB.add(j, dh[n] * delta(i, d) * u);
                        dU.add(i, dh[n] * delta(i, d) * s.b()[j]);
                        dA.add(d * states + n, dh[n] * before(h, row, t, n) * decay(i, d, n) * delta(i, d));
                        double dStep = dh[n]
                                * (before(h, row, t, n) * decay(i, d, n) * s.a()[d * states + n] + s.b()[j] * u)
                                * stepSlope;
                        dDelta.add(i, dStep);
                        if (s.deltaBias().length > 0) {
                            dBias.add(d, dStep);
                        }
                        dh[n] *= begins(row) ? 0 : decay(i, d, n);
                    }
                    if (s.d().length > 0) {
                        dD.add(d, dy * u);
                    }
                }
                for (int n = 0; n < states; n++) {
                    dInitial.add(state + n, dh[n]);
                }
            }
        }
    }

    private ExactSums result(String name, int size) {
        ExactSums sums = new ExactSums(size);
        results.put(name, sums);
        return sums;
    }

    private void gateGradients(ExactSums dZ, int i, double term) {
        if (s.z().length > 0) {
            dZ.add(i, term);
        }
    }

    /** The derivative by z of y's gradient times y, where y is 1 before its gate. */
    private double gateGradient(int i) {
        if (s.z().length == 0) {
            return 0;
        }
        double sigmoid = 1 / (1 + Math.exp(-s.z()[i]));
        return s.gradY()[i] * (sigmoid + s.z()[i] * sigmoid * (1 - sigmoid));
    }

    private boolean begins(int row) {
        return s.resets().length > 0 && s.resets()[row];
    }

    private double before(double[][] h, int row, int t, int n) {
        return begins(row) ? 0 : h[t][n];
    }

    private double biased(int i, int d) {
        return (double) s.delta()[i] + (s.deltaBias().length > 0 ? s.deltaBias()[d] : 0);
    }

    private double delta(int i, int d) {
        double x = biased(i, d);
        return !s.softplus() ? x : x > 30 ? x : Math.log1p(Math.exp(x));
    }

    private double decay(int i, int d, int n) {
        return Math.exp(delta(i, d) * s.a()[d * s.states() + n]);
    }

    private double skip(int d) {
        return s.d().length > 0 ? s.d()[d] : 0;
    }

    private double gate(int i) {
        return s.z().length > 0 ? s.z()[i] / (1 + Math.exp(-s.z()[i])) : 1;
    }
}
