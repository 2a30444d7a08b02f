package org.mamba4j.kernel;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The oracle: the recurrence and its derivative in float64, every state kept, written for the tests and sharing nothing
 * with any implementation.
 */
final class ScanRecurrence {
    private final ScanCase s;
    private final Map<String, double[]> results = new LinkedHashMap<>();

    private ScanRecurrence(ScanCase s) {
        this.s = s;
    }

    /** Outputs {@code y}, {@code lastState} and gradients {@code grad u}, {@code grad delta}, … of everything present. */
    static Map<String, double[]> run(ScanCase s) {
        ScanRecurrence recurrence = new ScanRecurrence(s);
        recurrence.run();
        return recurrence.results;
    }

    private void run() {
        double[] y = result("y", s.u().length);
        double[] last = result("lastState", s.batch() * s.channels() * s.states());
        double[] dU = result("grad u", s.u().length);
        double[] dDelta = result("grad delta", s.u().length);
        double[] dA = result("grad a", s.a().length);
        double[] dB = result("grad b", s.b().length);
        double[] dC = result("grad c", s.c().length);
        double[] dD = result("grad d", s.d().length);
        double[] dBias = result("grad deltaBias", s.deltaBias().length);
        double[] dZ = result("grad z", s.z().length);
        double[] dInitial = result("grad initialState", last.length);
        int states = s.states();
        double[][] h = new double[s.length() + 1][states];
        double[] ungated = new double[s.length()];
        for (int b = 0; b < s.batch(); b++) {
            for (int d = 0; d < s.channels(); d++) {
                int state = (b * s.channels() + d) * states;
                for (int n = 0; n < states; n++) {
                    h[0][n] = s.initialState().length > 0 ? s.initialState()[state + n] : 0;
                }
                for (int t = 0; t < s.length(); t++) {
                    int row = b * s.length() + t;
                    int i = row * s.channels() + d;
                    ungated[t] = skip(d) * s.u()[i];
                    for (int n = 0; n < states; n++) {
                        h[t + 1][n] = decay(i, d, n) * before(h, row, t, n)
                                + delta(i, d) * s.b()[row * states + n] * s.u()[i];
                        ungated[t] += s.c()[row * states + n] * h[t + 1][n];
                    }
                    y[i] = ungated[t] * gate(i);
                }
                double[] dh = new double[states];
                for (int n = 0; n < states; n++) {
                    last[state + n] = h[s.length()][n];
                    dh[n] = s.gradLastState().length > 0 ? s.gradLastState()[state + n] : 0;
                }
                for (int t = s.length() - 1; t >= 0; t--) {
                    int row = b * s.length() + t;
                    int i = row * s.channels() + d;
                    double u = s.u()[i];
                    double dy = s.gradY()[i] * gate(i);
                    double dStep = 0;
                    dU[i] = dy * skip(d);
                    for (int n = 0; n < states; n++) {
                        int j = row * states + n;
                        dh[n] += dy * s.c()[j];
                        dC[j] += dy * h[t + 1][n];
                        dB[j] += dh[n] * delta(i, d) * u;
                        dU[i] += dh[n] * delta(i, d) * s.b()[j];
                        dA[d * states + n] += dh[n] * before(h, row, t, n) * decay(i, d, n) * delta(i, d);
                        dStep += dh[n] * (before(h, row, t, n) * decay(i, d, n) * s.a()[d * states + n] + s.b()[j] * u);
                        dh[n] *= begins(row) ? 0 : decay(i, d, n);
                    }
                    dDelta[i] = dStep * (s.softplus() ? 1 / (1 + Math.exp(-biased(i, d))) : 1);
                    if (dBias.length > 0) {
                        dBias[d] += dDelta[i];
                    }
                    if (dD.length > 0) {
                        dD[d] += dy * u;
                    }
                    if (dZ.length > 0) {
                        double sigmoid = 1 / (1 + Math.exp(-s.z()[i]));
                        dZ[i] = s.gradY()[i] * ungated[t] * (sigmoid + s.z()[i] * sigmoid * (1 - sigmoid));
                    }
                }
                System.arraycopy(dh, 0, dInitial, state, states);
            }
        }
    }

    private double[] result(String name, int size) {
        double[] values = new double[size];
        results.put(name, values);
        return values;
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
