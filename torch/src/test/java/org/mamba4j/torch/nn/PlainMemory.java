package org.mamba4j.torch.nn;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.torch.kernel.MambaKernels;

/**
 * MemMamba as the formulas of its description say, token by token, for one sequence: no chunks are batched, pools are
 * lists that are sorted. Residual fusion and pools by priority only.
 */
final class PlainMemory {
    private final MemMamba model;
    private final MemMambaConfig config;

    PlainMemory(MemMamba model) {
        this.model = model;
        this.config = model.config();
    }

    private record Note(Tensor summary, Tensor score, float importance, int position) {}

    /** (1, L) → (1, L, V). */
    Tensor logits(Tensor ids) {
        Tensor x = model.embed(ids); // (1, L, d)
        List<List<Note>> noted = new ArrayList<>();
        for (int layer = 0; layer < config.nLayer(); layer++) {
            noted.add(new ArrayList<>());
            if (config.takesNotes(layer)) {
                x = read(layer, x, noted);
            }
            // The composed operations are for the CPU; what is compared on a GPU is the memory.
            MambaKernels kernels = model.kernels().isCuda() ? model.kernels() : MambaKernels.composed();
            MambaBlock block = new MambaBlock(config.mamba(), kernels, model.weights(), layer);
            x = block.forward(x, Carry.NONE);
        }
        return model.logits(model.finalNorm(x));
    }

    private Tensor weight(int layer, String name) {
        return model.weights().get("backbone.layers." + layer + ".memory." + name);
    }

    private Tensor read(int layer, Tensor x, List<List<Note>> noted) {
        int length = (int) x.size(1);
        List<Tensor> us = new ArrayList<>();
        for (int t = 0; t < length; t++) {
            Tensor xt = x.select(1, t).view(-1); // (d)
            Tensor square = xt.mul(xt).mean().add(new Scalar(config.mamba().normEpsilon()));
            Tensor u = xt.div(square.sqrt()).mul(weight(layer, "norm.weight"));
            us.add(u);
            Tensor hidden =
                    torch.silu(weight(layer, "score_in.weight").matmul(u).add(weight(layer, "score_in.bias")));
            Tensor a = weight(layer, "score_out.weight").matmul(hidden).add(weight(layer, "score_out.bias")); // (1)
            Tensor s = weight(layer, "summary.weight")
                    .matmul(u)
                    .add(weight(layer, "summary.bias"))
                    .tanh();
            float importance = a.item_float();
            if (importance > weight(layer, "threshold").item_float()) {
                noted.get(layer).add(new Note(s, a, importance, t));
            }
        }
        TensorVector rows = new TensorVector();
        for (int t = 0; t < length; t++) {
            int begin = t / config.memory().chunkSize() * config.memory().chunkSize();
            Tensor sum = x.select(1, t).view(-1).add(read(layer, "token.", us.get(t), pool(noted.get(layer), begin)));
            if (config.readsBelow(layer)) {
                List<Note> below = new ArrayList<>();
                config.layersBelow(layer).forEach(l -> below.addAll(pool(noted.get(l), begin)));
                sum = sum.add(read(layer, "layer.", us.get(t), below));
            }
            rows.push_back(sum);
        }
        return torch.stack(rows, 0).unsqueeze(0); // (1, L, d)
    }

    private List<Note> pool(List<Note> noted, int begin) {
        return noted.stream()
                .filter(note -> note.position() < begin)
                .sorted(Comparator.comparingDouble((Note note) -> -note.importance())
                        .thenComparingInt(Note::position))
                .limit(config.memory().poolSize())
                .toList();
    }

    private Tensor read(int layer, String kind, Tensor u, List<Note> pool) {
        Tensor q = weight(layer, kind + "query.weight").matmul(u); // (s)
        TensorVector logits = new TensorVector();
        logits.push_back(weight(layer, kind + "nothing"));
        for (Note note : pool) {
            Tensor k = weight(layer, kind + "key.weight").matmul(note.summary());
            Tensor logGate = note.score().sigmoid().log(); // (1)
            logits.push_back(q.dot(k)
                    .div(new Scalar(Math.sqrt(config.memory().summarySize())))
                    .add(logGate));
        }
        Tensor attention = torch.cat(logits, 0).softmax(0);
        Tensor read = torch.zeros_like(q); // (s)
        for (int i = 0; i < pool.size(); i++) {
            read = read.add(attention.select(0, i + 1).mul(pool.get(i).summary()));
        }
        Tensor c = weight(layer, kind + "value.weight").matmul(read);
        Tensor r = weight(layer, kind + "gate.weight")
                .matmul(u)
                .add(weight(layer, kind + "gate.bias"))
                .sigmoid();
        return r.mul(c);
    }
}
