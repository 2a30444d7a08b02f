package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.mamba4j.model.DecimationConfig;
import org.mamba4j.model.MambaConfig;
import org.mamba4j.torch.Tensors;

/** A decimating Mamba token by token in float64, as its paper's code describes it; reads on from where it stands. */
final class PlainDeciMamba {
    private final MambaConfig c;
    private final DecimationConfig decimation;
    private final Map<String, float[]> weights = new HashMap<>();
    private final List<double[][]> windows = new ArrayList<>(); // per layer (D, K - 1), the last inputs
    private final List<double[][]> states = new ArrayList<>(); // per layer (D, N)

    PlainDeciMamba(DeciMamba network) {
        c = network.config().mamba();
        decimation = network.config().decimation();
        for (Parameter parameter : network.parameters()) {
            weights.put(parameter.name(), Tensors.toFloats(parameter.tensor()));
        }
        for (int i = 0; i < c.nLayer(); i++) {
            windows.add(new double[c.dInner()][c.dConv() - 1]);
            states.add(new double[c.dInner()][c.dState()]);
        }
    }

    /** What one token is for the scan of a layer, and how important. */
    private static final class Entry {
        private final double[] x; // the token between two layers (d)
        private double[] u = {}; // (D)
        private double[] z = {}; // (D)
        private double[] delta = {}; // (D)
        private double[] b = {}; // (N)
        private double[] c = {}; // (N)
        private double norm;

        Entry(double[] x) {
            this.x = x;
        }
    }

    /** Logits after each of the last {@code wanted} tokens. */
    double[][] read(int[] tokens, int wanted) {
        List<double[]> stream = new ArrayList<>();
        float[] embedding = weight(c.embedding().name());
        for (int t = 0; t < tokens.length; t++) {
            double[] x = new double[c.dModel()];
            for (int i = 0; i < x.length; i++) {
                x[i] = embedding[tokens[t] * x.length + i];
            }
            stream.add(x);
        }
        for (int layer = 0; layer < c.nLayer(); layer++) {
            stream = layer(layer, stream, wanted);
        }
        double[][] logits = new double[wanted][];
        for (int i = 0; i < wanted; i++) {
            double[] last = norm("backbone.norm_f.weight", stream.get(stream.size() - wanted + i));
            logits[i] = product(c.head().name(), last);
        }
        return logits;
    }

    private List<double[]> layer(int layer, List<double[]> stream, int wanted) {
        String name = "backbone.layers." + layer + ".mixer.";
        List<Entry> entries = new ArrayList<>();
        for (double[] token : stream) {
            entries.add(entry(layer, name, token));
        }
        int optional = stream.size() - wanted;
        int place = layer - decimation.firstLayer();
        if (place >= 0 && place < decimation.layers() && optional > 0) {
            double most = Math.min(optional, decimation.baseLength() * Math.pow(decimation.beta(), place));
            int kept = (int) Math.max(most, decimation.minLength());
            List<Double> norms = new ArrayList<>(entries.subList(0, optional).stream()
                    .map(entry -> entry.norm)
                    .sorted()
                    .toList());
            double least = norms.get(Math.max(0, optional - kept));
            List<Entry> all = entries;
            entries = new ArrayList<>();
            for (int i = 0; i < all.size(); i++) {
                if (i >= optional || all.get(i).norm >= least) {
                    entries.add(all.get(i));
                }
            }
        }
        List<double[]> next = new ArrayList<>();
        for (Entry entry : entries) {
            double[] out = product(name + "out_proj.weight", scanned(layer, name, entry));
            for (int i = 0; i < out.length; i++) {
                out[i] += entry.x[i];
            }
            next.add(out);
        }
        return next;
    }

    private Entry entry(int layer, String name, double[] token) {
        int channels = c.dInner();
        double[] both = product(name + "in_proj.weight", norm("backbone.layers." + layer + ".norm.weight", token));
        double[] u = new double[channels];
        double[] z = new double[channels];
        for (int i = 0; i < channels; i++) {
            double[] window = windows.get(layer)[i];
            double sum = weight(name + "conv1d.bias")[i];
            for (int tap = 0; tap < c.dConv(); tap++) {
                double input = tap < window.length ? window[tap] : both[i];
                sum += weight(name + "conv1d.weight")[i * c.dConv() + tap] * input;
            }
            System.arraycopy(window, 1, window, 0, window.length - 1);
            window[window.length - 1] = both[i];
            u[i] = silu(sum);
            z[i] = both[channels + i];
        }
        double[] selection = product(name + "x_proj.weight", u);
        double[] low = Arrays.copyOf(selection, c.dtRank());
        double[] delta = product(name + "dt_proj.weight", low);
        double square = 0;
        for (int i = 0; i < channels; i++) {
            delta[i] = Math.log1p(Math.exp(delta[i] + weight(name + "dt_proj.bias")[i]));
            square += delta[i] * delta[i];
        }
        Entry entry = new Entry(token);
        entry.u = u;
        entry.z = z;
        entry.delta = delta;
        entry.b = Arrays.copyOfRange(selection, c.dtRank(), c.dtRank() + c.dState());
        entry.c = Arrays.copyOfRange(selection, c.dtRank() + c.dState(), selection.length);
        entry.norm = Math.sqrt(square);
        return entry;
    }

    private double[] scanned(int layer, String name, Entry e) {
        double[] y = new double[c.dInner()];
        for (int i = 0; i < y.length; i++) {
            double[] h = states.get(layer)[i];
            for (int n = 0; n < h.length; n++) {
                double a = -Math.exp(weight(name + "A_log")[i * h.length + n]);
                h[n] = Math.exp(e.delta[i] * a) * h[n] + e.delta[i] * e.b[n] * e.u[i];
                y[i] += e.c[n] * h[n];
            }
            y[i] = (y[i] + weight(name + "D")[i] * e.u[i]) * silu(e.z[i]);
        }
        return y;
    }

    private static double silu(double x) {
        return x / (1 + Math.exp(-x));
    }

    private float[] weight(String name) {
        return weights.getOrDefault(name, new float[0]);
    }

    private double[] product(String name, double[] x) {
        float[] matrix = weight(name);
        double[] y = new double[matrix.length / x.length];
        for (int row = 0; row < y.length; row++) {
            for (int i = 0; i < x.length; i++) {
                y[row] += matrix[row * x.length + i] * x[i];
            }
        }
        return y;
    }

    private double[] norm(String name, double[] x) {
        double square = 0;
        for (double value : x) {
            square += value * value;
        }
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = x[i] / Math.sqrt(square / x.length + c.normEpsilon()) * weight(name)[i];
        }
        return y;
    }
}
