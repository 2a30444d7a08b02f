package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.LayerParts;
import org.mamba4j.ssm.Complex;
import org.mamba4j.ssm.ContinuousSystem;
import org.mamba4j.ssm.DiscreteSystem;
import org.mamba4j.ssm.Discretisation;
import org.mamba4j.ssm.Matrix;

/** A composed model computed token by token, number by number, in float64, straight from the papers' equations. */
record PlainComposed(PlainFamilies plain, ComposedConfig c, LayerParts layer) {
    /** Numbers that an inner layer computes a sequence with, channel by channel. */
    private interface Inner {
        /** The outputs (L, D) of inputs {@code u} (L, D), skip connection included. */
        double[][] apply(double[][] u);
    }

    /** One block: {@code x} (L, d) is changed in place. */
    void block(int index, double[][] x) {
        String name = "backbone.layers." + index + ".";
        double[][] normed = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            normed[t] = plain.rmsNorm(name + "norm", x[t], c.normEpsilon());
        }
        double[][] mixed = mixer(name + "mixer.", normed);
        for (int t = 0; t < x.length; t++) {
            PlainFamilies.add(x[t], mixed[t]);
            if (c.mlp().equals("gated")) {
                double[] two = plain.linear(name + "mlp.fc1", plain.rmsNorm(name + "norm2", x[t], c.normEpsilon()));
                double[] half = new double[c.dMlp()];
                for (int i = 0; i < half.length; i++) {
                    half[i] = two[i] * PlainFamilies.activation("silu", two[half.length + i]);
                }
                PlainFamilies.add(x[t], plain.linear(name + "mlp.fc2", half));
            }
        }
    }

    private double[][] mixer(String name, double[][] x) {
        Inner inner = u -> switch (layer.innerLayer()) {
            case "s6" -> s6(name, u);
            case "s4" -> s4(name + "ssm.", u);
            case "hyena" -> hyena(name + "filter.", u);
            default -> s4d(name + "ssm.", u);
        };
        return switch (c.block()) {
            case "plain" -> plainBlock(name, inner, x);
            case "mamba" -> mambaBlock(name, inner, x);
            case "h3" -> h3Block(name, inner, x);
            default -> throw new IllegalArgumentException(c.block());
        };
    }

    private double[][] plainBlock(String name, Inner inner, double[][] x) {
        double[][] y = inner.apply(x);
        for (int t = 0; t < x.length; t++) {
            double[] two = plain.linear(
                    name + "out_proj",
                    Arrays.stream(y[t])
                            .map(value -> PlainFamilies.activation("gelu", value))
                            .toArray());
            y[t] = new double[c.dModel()];
            for (int i = 0; i < c.dModel(); i++) {
                y[t][i] = two[i] / (1 + Math.exp(-two[c.dModel() + i]));
            }
        }
        return y;
    }

    private double[][] mambaBlock(String name, Inner inner, double[][] x) {
        int channels = c.dInner();
        double[][] both = new double[x.length][];
        double[][] u = new double[x.length][channels];
        for (int t = 0; t < x.length; t++) {
            both[t] = plain.linear(name + "in_proj", x[t]);
            for (int i = 0; i < channels; i++) {
                double sum = plain.weight(name + "conv1d.bias")[i];
                for (int tap = 0; tap < layer.dConv(); tap++) {
                    int from = t - layer.dConv() + 1 + tap;
                    sum += from < 0 ? 0 : plain.weight(name + "conv1d.weight")[i * layer.dConv() + tap] * both[from][i];
                }
                u[t][i] = PlainFamilies.activation("silu", sum);
            }
        }
        double[][] y = inner.apply(u);
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < channels; i++) {
                y[t][i] *= PlainFamilies.activation("silu", both[t][channels + i]);
            }
            y[t] = plain.linear(name + "out_proj", y[t]);
        }
        return y;
    }

    private double[][] h3Block(String name, Inner inner, double[][] x) {
        int d = c.dModel();
        boolean hyena = layer.innerLayer().equals("hyena");
        double[][] projected = new double[x.length][];
        double[][] filtered = new double[x.length][3 * d];
        for (int t = 0; t < x.length; t++) {
            projected[t] = plain.linear(name + "in_proj", x[t]);
            for (int i = 0; i < 3 * d; i++) {
                filtered[t][i] = projected[t][i];
                if (hyena || i / d == 1) {
                    float[] taps = plain.weight(name + (hyena ? "conv1d.weight" : "shift.weight"));
                    int row = hyena ? i : i - d;
                    filtered[t][i] = hyena
                            ? plain.weight(name + "conv1d.bias")[i]
                            : plain.weight(name + "shift.skip")[i - d] * projected[t][i];
                    for (int back = 0; back < layer.dConv() && back <= t; back++) {
                        filtered[t][i] += taps[row * layer.dConv() + layer.dConv() - 1 - back] * projected[t - back][i];
                    }
                }
            }
        }
        double[][] product = new double[x.length][d];
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < d; i++) {
                product[t][i] = filtered[t][d + i] * filtered[t][2 * d + i];
            }
        }
        double[][] y = inner.apply(product);
        for (int t = 0; t < x.length; t++) {
            for (int i = 0; i < d; i++) {
                y[t][i] *= filtered[t][i];
            }
            y[t] = plain.linear(name + "out_proj", y[t]);
        }
        return y;
    }

    /** The kernel as the network draws it, then the sum over all distances. */
    private double[][] hyena(String name, double[][] u) {
        int channels = c.dInner();
        double[][] kernel = new double[u.length][];
        for (int s = 0; s < u.length; s++) {
            double tau = (double) s / c.kernelLength();
            double[] x = {tau, Math.cos(2 * Math.PI * tau), -Math.sin(2 * Math.PI * tau)};
            for (int i = 0; i < 3; i++) {
                x = plain.linear(name + i, x);
                for (int j = 0; j < x.length; j++) {
                    x[j] = Math.sin(plain.weight(name + "frequency")[j] * x[j]);
                }
            }
            kernel[s] = plain.linear(name + "out", x);
            for (int i = 0; i < channels; i++) {
                double slow = -Math.log(1e-2) / 1.5;
                double fast = -Math.log(1e-2) / 0.3;
                kernel[s][i] *= Math.exp(-tau * (slow + (fast - slow) * i / (channels - 1)));
            }
        }
        double[][] y = new double[u.length][channels];
        for (int t = 0; t < u.length; t++) {
            for (int i = 0; i < channels; i++) {
                y[t][i] = plain.weight(name + "skip")[i] * u[t][i];
                for (int s = 0; s <= t; s++) {
                    y[t][i] += kernel[s][i] * u[t - s][i];
                }
            }
        }
        return y;
    }

    private double imaginary(String name, int index) {
        return layer.isComplex() ? plain.weight(name + "A_imag")[index] : 0;
    }

    private double[][] s6(String name, double[][] u) {
        int modes = layer.modes();
        int n = layer.dState();
        int rank = layer.isDeltaSelective() ? c.dtRank() : 0;
        int width = n / modes; // 2 where numbers are complex
        double[][][] state = new double[c.dInner()][modes][2];
        double[][] y = new double[u.length][c.dInner()];
        for (int t = 0; t < u.length; t++) {
            double[] selected = plain.weight(name + "x_proj.weight").length == 0
                    ? new double[0]
                    : plain.linear(name + "x_proj", u[t]);
            for (int i = 0; i < c.dInner(); i++) {
                double raw = plain.weight(name + "dt_proj.bias")[i];
                for (int r = 0; r < rank; r++) {
                    raw += plain.weight(name + "dt_proj.weight")[i * rank + r] * selected[r];
                }
                double step = Math.log1p(Math.exp(raw));
                double sum = 0;
                for (int m = 0; m < modes; m++) {
                    int at = i * modes + m;
                    double[] a = {-Math.exp(plain.weight(name + "A_log")[at]), imaginary(name, at)};
                    double[] b = new double[2];
                    double[] out = new double[2];
                    for (int part = 0; part < width; part++) {
                        b[part] = layer.isBSelective()
                                ? selected[rank + m * width + part]
                                : plain.weight(name + "B")[i * n + m * width + part];
                        out[part] = layer.isCSelective()
                                ? selected[rank + (layer.isBSelective() ? n : 0) + m * width + part]
                                : plain.weight(name + "C")[i * n + m * width + part];
                    }
                    double[] h = times(exp(scaled(a, step)), state[i][m]);
                    h[0] += step * b[0] * u[t][i];
                    h[1] += step * b[1] * u[t][i];
                    state[i][m] = h;
                    sum += width * times(out, h)[0];
                }
                y[t][i] = sum + plain.weight(name + "D")[i] * u[t][i];
            }
        }
        return y;
    }

    private double[][] s4d(String name, double[][] u) {
        int modes = layer.modes();
        int width = layer.dState() / modes;
        double[][] y = new double[u.length][c.dInner()];
        for (int i = 0; i < c.dInner(); i++) {
            double step = Math.exp(plain.weight(name + "log_dt")[i]);
            for (int m = 0; m < modes; m++) {
                int at = i * modes + m;
                double[] a = {-Math.exp(plain.weight(name + "A_log")[at]), imaginary(name, at)};
                double[] out = new double[2];
                for (int part = 0; part < width; part++) {
                    out[part] = plain.weight(name + "C")[i * layer.dState() + m * width + part];
                }
                double[] z = scaled(a, step);
                double[] decay;
                double[] b;
                if (layer.discretisation().equals("zoh")) {
                    decay = exp(z);
                    b = over(new double[] {decay[0] - 1, decay[1]}, a);
                } else {
                    double[] below = {1 - z[0] / 2, -z[1] / 2};
                    decay = over(new double[] {1 + z[0] / 2, z[1] / 2}, below);
                    b = over(new double[] {step, 0}, below);
                }
                double[] h = new double[2];
                for (int t = 0; t < u.length; t++) {
                    h = times(decay, h);
                    h[0] += b[0] * u[t][i];
                    h[1] += b[1] * u[t][i];
                    y[t][i] += width * times(out, h)[0];
                }
            }
            for (int t = 0; t < u.length; t++) {
                y[t][i] += plain.weight(name + "D")[i] * u[t][i];
            }
        }
        return y;
    }

    /** By a dense system in each channel. */
    private double[][] s4(String name, double[][] u) {
        double[][] y = new double[u.length][c.dInner()];
        for (int i = 0; i < c.dInner(); i++) {
            ContinuousSystem stored = ContinuousSystem.ofConjugatePairs(
                    lambda(name, i), numbers(name + "P", i), numbers(name + "B", i), numbers(name + "C", i), 0);
            DiscreteSystem discrete = Discretisation.BILINEAR.of(stored, Math.exp(plain.weight(name + "log_dt")[i]));
            Matrix remaining =
                    Matrix.identity(layer.dState()).plus(-1, discrete.a().power(c.kernelLength()));
            Matrix read = remaining.transpose().solve(stored.c().transpose()).transpose();
            double[] channel = new double[u.length];
            for (int t = 0; t < u.length; t++) {
                channel[t] = u[t][i];
            }
            double[] out =
                    new DiscreteSystem(discrete.a(), discrete.b(), read, plain.weight(name + "D")[i]).apply(channel);
            for (int t = 0; t < u.length; t++) {
                y[t][i] = out[t];
            }
        }
        return y;
    }

    private List<Complex> lambda(String name, int channel) {
        List<Complex> all = new ArrayList<>();
        for (int m = 0; m < layer.modes(); m++) {
            int at = channel * layer.modes() + m;
            all.add(new Complex(-Math.exp(plain.weight(name + "A_log")[at]), plain.weight(name + "A_imag")[at]));
        }
        return all;
    }

    private List<Complex> numbers(String name, int channel) {
        List<Complex> all = new ArrayList<>();
        for (int m = 0; m < layer.modes(); m++) {
            int at = channel * layer.dState() + 2 * m;
            all.add(new Complex(plain.weight(name)[at], plain.weight(name)[at + 1]));
        }
        return all;
    }

    private static double[] scaled(double[] z, double by) {
        return new double[] {z[0] * by, z[1] * by};
    }

    private static double[] times(double[] x, double[] y) {
        return new double[] {x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]};
    }

    private static double[] over(double[] x, double[] y) {
        double norm = y[0] * y[0] + y[1] * y[1];
        return scaled(times(x, new double[] {y[0], -y[1]}), 1 / norm);
    }

    private static double[] exp(double[] z) {
        return new double[] {Math.exp(z[0]) * Math.cos(z[1]), Math.exp(z[0]) * Math.sin(z[1])};
    }
}
