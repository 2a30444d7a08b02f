package org.mamba4j.torch.nn;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.mamba4j.model.ComposedConfig;
import org.mamba4j.model.GptNeoxConfig;
import org.mamba4j.model.LlamaConfig;
import org.mamba4j.model.Mamba2Config;
import org.mamba4j.model.RecurrentConfig;
import org.mamba4j.torch.Tensors;

/** The families computed token by token, number by number, in float64, straight from their papers' equations. */
final class PlainFamilies {
    private final Map<String, float[]> weights = new HashMap<>();

    private PlainFamilies(LanguageNetwork network) {
        for (Parameter parameter : network.parameters()) {
            weights.put(parameter.name(), Tensors.toFloats(parameter.tensor()));
        }
    }

    /** The logits after each token. */
    static double[][] logits(LanguageNetwork network, int[] tokens) {
        PlainFamilies plain = new PlainFamilies(network);
        double[][] x = new double[tokens.length][];
        int d = network.config().dModel();
        float[] embedding = plain.weight(network.config().embedding().name());
        for (int t = 0; t < tokens.length; t++) {
            x[t] = new double[d];
            for (int i = 0; i < d; i++) {
                x[t][i] = embedding[tokens[t] * d + i];
            }
            if (network.config() instanceof LlamaConfig llama) {
                plain.enter(llama, x[t], t);
            }
        }
        for (int layer = 0; layer < network.config().nLayer(); layer++) {
            switch (network.config()) {
                case LlamaConfig llama -> plain.block(llama, layer, x);
                case GptNeoxConfig neox -> plain.block(neox, layer, x);
                case Mamba2Config mamba -> plain.block(mamba, layer, x);
                case RecurrentConfig recurrent -> plain.block(recurrent, layer, x);
                case ComposedConfig composed ->
                    new PlainComposed(plain, composed, composed.layer(layer)).block(layer, x);
                default -> throw new IllegalArgumentException(network.config().modelType());
            }
        }
        float[] head = plain.weight(network.config().head().name());
        double[][] logits = new double[tokens.length][];
        for (int t = 0; t < tokens.length; t++) {
            double[] last = switch (network.config()) {
                case LlamaConfig llama -> plain.rmsNorm("model.norm", x[t], llama.normEpsilon());
                case GptNeoxConfig neox -> plain.layerNorm("gpt_neox.final_layer_norm", x[t], neox.normEpsilon());
                case Mamba2Config mamba -> plain.rmsNorm("backbone.norm_f", x[t], mamba.normEpsilon());
                case RecurrentConfig recurrent ->
                    recurrent.residual() ? plain.rmsNorm("norm_f", x[t], recurrent.normEpsilon()) : x[t];
                case ComposedConfig composed -> plain.rmsNorm("backbone.norm_f", x[t], composed.normEpsilon());
                default -> throw new IllegalArgumentException();
            };
            logits[t] = product(head, new float[0], last);
        }
        return logits;
    }

    float[] weight(String name) {
        return weights.getOrDefault(name, new float[0]);
    }

    double[] linear(String name, double[] x) {
        return product(weight(name + ".weight"), weight(name + ".bias"), x);
    }

    private static double[] product(float[] matrix, float[] bias, double[] x) {
        double[] y = new double[matrix.length / x.length];
        for (int row = 0; row < y.length; row++) {
            y[row] = bias.length == 0 ? 0 : bias[row];
            for (int i = 0; i < x.length; i++) {
                y[row] += matrix[row * x.length + i] * x[i];
            }
        }
        return y;
    }

    double[] rmsNorm(String name, double[] x, double epsilon) {
        double square = 0;
        for (double value : x) {
            square += value * value;
        }
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = x[i] / Math.sqrt(square / x.length + epsilon) * weight(name + ".weight")[i];
        }
        return y;
    }

    private double[] layerNorm(String name, double[] x, double epsilon) {
        double mean = 0;
        for (double value : x) {
            mean += value / x.length;
        }
        double variance = 0;
        for (double value : x) {
            variance += (value - mean) * (value - mean) / x.length;
        }
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = (x[i] - mean) / Math.sqrt(variance + epsilon) * weight(name + ".weight")[i]
                    + weight(name + ".bias")[i];
        }
        return y;
    }

    static double activation(String name, double x) {
        return switch (name) {
            case "silu" -> x / (1 + Math.exp(-x));
            case "relu" -> Math.max(0, x);
            case "gelu_pytorch_tanh" -> x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
            default -> x / 2 * (1 + erf(x / Math.sqrt(2)));
        };
    }

    /** Its series, which is exact for |x| of a few units; beyond, it is 1 to 11 digits. */
    private static double erf(double x) {
        if (Math.abs(x) > 5) {
            return Math.signum(x);
        }
        double term = x;
        double sum = x;
        for (int n = 1; n < 200; n++) {
            term *= -x * x / n;
            sum += term / (2 * n + 1);
        }
        return 2 / Math.sqrt(Math.PI) * sum;
    }

    /** Frequencies as transformers' ROPE_INIT_FUNCTIONS define them, by wavelength. */
    private static double frequency(int pair, int size, double theta, String type, double[] how) {
        double frequency = 1 / Math.pow(theta, 2.0 * pair / size);
        if (type.equals("linear")) {
            return frequency / how[0];
        }
        if (type.equals("default")) {
            return frequency;
        }
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength > how[3] / how[1]) {
            return frequency / how[0];
        }
        if (wavelength < how[3] / how[2]) {
            return frequency;
        }
        double smooth = (how[3] / wavelength - how[1]) / (how[2] - how[1]);
        return (1 - smooth) * frequency / how[0] + smooth * frequency;
    }

    private static void turn(double[] head, int at, int size, int position, double theta, String type, double... how) {
        for (int i = 0; i < size / 2; i++) {
            double angle = position * frequency(i, size, theta, type, how);
            double one = head[at + i];
            double other = head[at + i + size / 2];
            head[at + i] = one * Math.cos(angle) - other * Math.sin(angle);
            head[at + i + size / 2] = other * Math.cos(angle) + one * Math.sin(angle);
        }
    }

    /** What head {@code h} finds at {@code t}; of each token, keys lie at {@code keyAt} and values at {@code valueAt}. */
    private static double[] attend(
            double[] q, int queryAt, double[][] k, int keyAt, double[][] v, int valueAt, int n, int t) {
        double[] found = new double[n];
        double sum = 0;
        for (int s = 0; s <= t; s++) {
            double dot = 0;
            for (int i = 0; i < n; i++) {
                dot += q[queryAt + i] * k[s][keyAt + i];
            }
            double share = Math.exp(dot / Math.sqrt(n));
            sum += share;
            for (int i = 0; i < n; i++) {
                found[i] += share * v[s][valueAt + i];
            }
        }
        for (int i = 0; i < n; i++) {
            found[i] /= sum;
        }
        return found;
    }

    static void add(double[] to, double[] what) {
        for (int i = 0; i < to.length; i++) {
            to[i] += what[i];
        }
    }

    /** Absolute positions. */
    private void enter(LlamaConfig c, double[] x, int t) {
        for (int i = 0; i < x.length; i++) {
            if (c.positions().equals("learned")) {
                x[i] += weight("model.embed_positions.weight")[t * x.length + i];
            } else if (c.positions().equals("sinusoidal")) {
                int half = x.length / 2;
                double angle = t / Math.pow(c.ropeTheta(), 2.0 * (i % half) / x.length);
                x[i] = Math.sqrt(x.length) * x[i] + (i < half ? Math.sin(angle) : Math.cos(angle));
            }
        }
    }

    /** xPos as its paper has it: queries by zeta to the power of their position, keys by the inverse. */
    private static void fade(LlamaConfig c, double[] head, int at, int position) {
        int n = c.headSize();
        for (int i = 0; i < n && c.positions().equals("xpos"); i++) {
            double zeta = (i % (n / 2) / (0.5 * n) + 0.4) / 1.4;
            head[at + i] *= Math.pow(zeta, position / c.xposScaleBase());
        }
    }

    private void block(LlamaConfig c, int layer, double[][] x) {
        String name = "model.layers." + layer + ".";
        int n = c.headSize();
        double[] how = {c.ropeFactor(), c.ropeLowFreqFactor(), c.ropeHighFreqFactor(), c.ropeOriginalLength()};
        double[][] q = new double[x.length][];
        double[][] k = new double[x.length][];
        double[][] v = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            double[] u = rmsNorm(name + "input_layernorm", x[t], c.normEpsilon());
            q[t] = linear(name + "self_attn.q_proj", u);
            k[t] = linear(name + "self_attn.k_proj", u);
            v[t] = linear(name + "self_attn.v_proj", u);
            boolean turned = c.positions().equals("rope") || c.positions().equals("xpos");
            for (int h = 0; h < c.nHeads() && turned; h++) {
                turn(q[t], h * n, n, t, c.ropeTheta(), c.ropeType(), how);
                fade(c, q[t], h * n, t);
            }
            for (int h = 0; h < c.nKvHeads() && turned; h++) {
                turn(k[t], h * n, n, t, c.ropeTheta(), c.ropeType(), how);
                fade(c, k[t], h * n, -t);
            }
        }
        for (int t = 0; t < x.length; t++) {
            double[] found = new double[c.nHeads() * n];
            for (int h = 0; h < c.nHeads(); h++) {
                int at = h / (c.nHeads() / c.nKvHeads()) * n;
                System.arraycopy(attend(q[t], h * n, k, at, v, at, n, t), 0, found, h * n, n);
            }
            add(x[t], linear(name + "self_attn.o_proj", found));
            if (c.dMlp() == 0) {
                continue;
            }
            double[] u = rmsNorm(name + "post_attention_layernorm", x[t], c.normEpsilon());
            double[] gate = linear(name + "mlp.gate_proj", u);
            double[] up = linear(name + "mlp.up_proj", u);
            for (int i = 0; i < gate.length; i++) {
                up[i] *= activation(c.activation(), gate[i]);
            }
            add(x[t], linear(name + "mlp.down_proj", up));
        }
    }

    private void block(GptNeoxConfig c, int layer, double[][] x) {
        String name = "gpt_neox.layers." + layer + ".";
        int n = c.headSize();
        int turned = (int) (n * c.rotaryFraction());
        double[] how = {c.ropeFactor(), c.ropeLowFreqFactor(), c.ropeHighFreqFactor(), c.ropeOriginalLength()};
        double[][] qkv = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            qkv[t] = linear(
                    name + "attention.query_key_value", layerNorm(name + "input_layernorm", x[t], c.normEpsilon()));
            for (int h = 0; h < c.nHeads(); h++) {
                turn(qkv[t], 3 * h * n, turned, t, c.ropeTheta(), c.ropeType(), how);
                turn(qkv[t], 3 * h * n + n, turned, t, c.ropeTheta(), c.ropeType(), how);
            }
        }
        for (int t = 0; t < x.length; t++) {
            double[] found = new double[c.dModel()];
            for (int h = 0; h < c.nHeads(); h++) {
                int at = 3 * h * n;
                System.arraycopy(attend(qkv[t], at, qkv, at + n, qkv, at + 2 * n, n, t), 0, found, h * n, n);
            }
            double[] before = x[t].clone();
            add(x[t], linear(name + "attention.dense", found));
            double[] read = c.parallelResidual() ? before : x[t];
            double[] wide = linear(
                    name + "mlp.dense_h_to_4h", layerNorm(name + "post_attention_layernorm", read, c.normEpsilon()));
            for (int i = 0; i < wide.length; i++) {
                wide[i] = activation(c.activation(), wide[i]);
            }
            add(x[t], linear(name + "mlp.dense_4h_to_h", wide));
        }
    }

    private void block(Mamba2Config c, int layer, double[][] x) {
        String name = "backbone.layers." + layer + ".mixer.";
        int channels = c.dInner();
        int n = c.dState();
        double[][] state = new double[channels][n];
        double[][] mixed = new double[x.length][];
        for (int t = 0; t < x.length; t++) {
            double[] all =
                    linear(name + "in_proj", rmsNorm("backbone.layers." + layer + ".norm", x[t], c.normEpsilon()));
            mixed[t] = Arrays.copyOfRange(all, channels, channels + c.convSize());
            double[] conv = new double[c.convSize()];
            for (int i = 0; i < conv.length; i++) {
                double sum = c.useConvBias() ? weight(name + "conv1d.bias")[i] : 0;
                for (int tap = 0; tap < c.dConv(); tap++) {
                    int from = t - c.dConv() + 1 + tap;
                    sum += from < 0 ? 0 : weight(name + "conv1d.weight")[i * c.dConv() + tap] * mixed[from][i];
                }
                conv[i] = activation("silu", sum);
            }
            double[] y = new double[channels];
            for (int i = 0; i < channels; i++) {
                int head = i / c.headSize();
                int group = head / (c.nHeads() / c.nGroups());
                double raw = all[channels + c.convSize() + head] + weight(name + "dt_bias")[head];
                double step = Math.max(Math.log1p(Math.exp(raw)), c.dtLow());
                step = c.dtHigh() == 0 ? step : Math.min(step, c.dtHigh());
                double decay = Math.exp(-Math.exp(weight(name + "A_log")[head]) * step);
                y[i] = weight(name + "D")[head] * conv[i];
                for (int s = 0; s < n; s++) {
                    double b = conv[channels + group * n + s];
                    double out = conv[channels + (c.nGroups() + group) * n + s];
                    state[i][s] = decay * state[i][s] + step * b * conv[i];
                    y[i] += out * state[i][s];
                }
                y[i] *= activation("silu", all[i]);
            }
            add(x[t], linear(name + "out_proj", rmsNorm(name + "norm", y, c.normEpsilon())));
        }
    }

    private void block(RecurrentConfig c, int layer, double[][] x) {
        String name = "layers." + layer + ".";
        int d = c.dModel();
        double[] h = new double[d];
        double[] cell = new double[d];
        for (int t = 0; t < x.length; t++) {
            double[] u = c.residual() ? rmsNorm(name + "norm", x[t], c.normEpsilon()) : x[t];
            double[] in = product(weight(name + "weight_ih"), weight(name + "bias_ih"), u);
            double[] back = product(weight(name + "weight_hh"), weight(name + "bias_hh"), h);
            double[] next = new double[d];
            for (int k = 0; k < d; k++) {
                if (c.isLstm()) { // gates i, f, g, o
                    double g = Math.tanh(in[2 * d + k] + back[2 * d + k]);
                    cell[k] = logistic(in[d + k] + back[d + k]) * cell[k] + logistic(in[k] + back[k]) * g;
                    next[k] = logistic(in[3 * d + k] + back[3 * d + k]) * Math.tanh(cell[k]);
                } else { // gates r, z, n
                    double n = Math.tanh(in[2 * d + k] + logistic(in[k] + back[k]) * back[2 * d + k]);
                    double z = logistic(in[d + k] + back[d + k]);
                    next[k] = (1 - z) * n + z * h[k];
                }
            }
            h = next;
            if (c.residual()) {
                add(x[t], h);
            } else {
                x[t] = h.clone();
            }
        }
    }

    private static double logistic(double x) {
        return 1 / (1 + Math.exp(-x));
    }
}
