package org.mamba4j.torch.fidelity;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;
import org.mamba4j.torch.nn.MemoryProbe;

/**
 * Ridge regressions from each layer's output: to the embeddings of the tokens k before, and to the outputs of the layers
 * below. Fit on some sequences, scored on others. All that is kept of a sequence are sums of products, so any number of
 * sequences fits into memory.
 *
 * <p>Belongs to the scope that it is made in.
 */
final class Decoders {
    /** Ridge, as a share of the features' mean square. */
    private static final double RIDGE = 1e-3;

    private final List<Integer> lags;
    private final int from;
    private final List<Tensor> gram = new ArrayList<>(); // (d + 1, d + 1)
    private final List<Tensor> products = new ArrayList<>(); // (d + 1, d · targets)
    private final List<Tensor> weights = new ArrayList<>(); // the same
    private final double[][] cosine;
    private final double[][] shuffled;
    private final double[][] error;
    private final double[] square;
    private final List<Tensor> sum = new ArrayList<>(); // (d)
    private long scored;

    /**
     * @param lags k, rising; the outputs from the last of them on are used
     * @param width d
     * @param where a tensor of the device
     */
    Decoders(int layers, int width, List<Integer> lags, Tensor where) {
        this.lags = List.copyOf(lags);
        this.from = lags.getLast();
        for (int m = 0; m < layers; m++) {
            gram.add(Tensors.zeros(width + 1, width + 1).to(where.device(), ScalarType.Float));
            products.add(
                    Tensors.zeros(width + 1, (long) width * (lags.size() + m)).to(where.device(), ScalarType.Float));
            sum.add(Tensors.zeros(width).to(where.device(), ScalarType.Float));
        }
        cosine = new double[layers][lags.size()];
        shuffled = new double[layers][lags.size()];
        error = new double[layers][layers];
        square = new double[layers];
    }

    /** Adds a sequence (a batch of one) to what is fit. */
    void fit(MemoryProbe probe) {
        for (int m = 0; m < gram.size(); m++) {
            int layer = m;
            TensorScope.run(() -> {
                Tensor x = features(probe, layer); // (n, d + 1)
                gram.get(layer).add_(x.t().mm(x));
                products.get(layer).add_(x.t().mm(targets(probe, layer)));
            });
        }
    }

    private Tensor features(MemoryProbe probe, int layer) {
        Tensor h = output(probe, layer);
        return torch.cat(new TensorVector(h, torch.ones_like(h.narrow(1, 0, 1))), 1);
    }

    private Tensor output(MemoryProbe probe, int layer) {
        Tensor h = probe.layers().get(layer).output().select(0, 0); // (L, d)
        return h.narrow(0, from, h.size(0) - from).to(ScalarType.Float);
    }

    private Tensor targets(MemoryProbe probe, int layer) {
        Tensor e = probe.embedded().select(0, 0).to(ScalarType.Float); // (L, d)
        TensorVector all = new TensorVector();
        for (int lag : lags) {
            all.push_back(e.narrow(0, from - lag, e.size(0) - from));
        }
        for (int below = 0; below < layer; below++) {
            all.push_back(output(probe, below));
        }
        return torch.cat(all, 1); // (n, d · targets)
    }

    /** Ends the fitting. */
    void solve() {
        for (int m = 0; m < gram.size(); m++) {
            Tensor g = gram.get(m).cpu().to(ScalarType.Double);
            long width = g.size(0) - 1;
            double scale = RIDGE * g.trace().item_double() / (width + 1);
            Tensor ridge = torch.eye(width + 1).to(ScalarType.Double).mul(new Scalar(Math.max(scale, 1e-12)));
            try (Tensor solved = solve(g.add(ridge), products.get(m).cpu().to(ScalarType.Double))) {
                weights.add(solved.to(gram.get(m).device(), ScalarType.Float));
            }
        }
    }

    /** a⁻¹ b; the caller's to close. */
    private static Tensor solve(Tensor a, Tensor b) {
        return LargeStack.call(() -> NoGrad.call(() -> {
            try (TensorScope scope = new TensorScope()) {
                return scope.release(torch.linalg_solve(a, b));
            }
        }));
    }

    /** Scores a sequence (a batch of one) that nothing was fit on. */
    void score(MemoryProbe probe) {
        for (int m = 0; m < gram.size(); m++) {
            int layer = m;
            TensorScope.run(() -> score(probe, layer));
        }
        scored += probe.embedded().size(1) - from;
    }

    private void score(MemoryProbe probe, int layer) {
        Tensor predicted = features(probe, layer).mm(weights.get(layer)); // (n, d · targets)
        Tensor wanted = targets(probe, layer);
        long width = output(probe, layer).size(1);
        for (int k = 0; k < lags.size(); k++) {
            Tensor p = predicted.narrow(1, k * width, width);
            Tensor e = wanted.narrow(1, k * width, width);
            Tensor other = e.roll(new long[] {e.size(0) / 2}, new long[] {0});
            cosine[layer][k] += torch.cosine_similarity(p, e, 1, 1e-8).sum().item_float();
            shuffled[layer][k] +=
                    torch.cosine_similarity(p, other, 1, 1e-8).sum().item_float();
        }
        for (int below = 0; below < layer; below++) {
            long at = (lags.size() + below) * width;
            error[layer][below] += predicted
                    .narrow(1, at, width)
                    .sub(wanted.narrow(1, at, width))
                    .square()
                    .sum()
                    .item_float();
        }
        Tensor h = output(probe, layer);
        square[layer] += h.square().sum().item_float();
        sum.get(layer).add_(h.sum(new long[] {0}));
    }

    /** By lag: mean cosine of embeddings and their reconstructions, less that of shuffled pairs. */
    List<Double> fidelity(int layer) {
        List<Double> all = new ArrayList<>();
        for (int k = 0; k < lags.size(); k++) {
            all.add((cosine[layer][k] - shuffled[layer][k]) / scored);
        }
        return all;
    }

    /** Held-out R² of the output of layer {@code below} from that of {@code layer}. */
    double explained(int below, int layer) {
        double mean =
                TensorScope.call(() -> (double) sum.get(below).square().sum().item_float());
        double total = square[below] - mean / scored;
        return 1 - error[layer][below] / total;
    }
}
