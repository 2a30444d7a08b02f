package org.mamba4j.torch.nn;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.memory.RandomImportance;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.NoGrad;
import org.mamba4j.torch.Tensors;

/**
 * The memory of one layer: it takes notes of tokens that matter, keeps a bounded pool of them, and lets every token read
 * what was noted before its chunk began, in its own layer and, in some layers, in those below ([1], sections 3 and 4).
 *
 * <pre>
 * u_t = RMSNorm(x_t)
 * a_t = w2 · SiLU(W1 u_t + b1) + b2         importance: noted when a_t &gt; θ, with gate g_t = σ(a_t)
 * s_t = tanh(W_n u_t + b_n)                 summary
 * x̄_t = x_t + what was read                 see {@link PoolRead}
 * </pre>
 *
 * <p>Importance and summary depend on x alone, so the pools at all chunks' beginnings are known before anything is read,
 * and a whole sequence is trained at once: {@link NoteSelection} says which token stands where, a gather brings the
 * summaries, one batched attention reads them. The selection has no gradient; what is selected has, through its summary
 * and through log g. Streaming is the same with what {@link LayerNotes} carries put in front of the new tokens.
 *
 * <p>Scores are float32: narrower ones tie, and ties decide who is remembered.
 *
 * <p>Shapes: B batch, L length, d model width, s summary, W chunk, C chunks, K places of a pool.
 *
 * <p>Reference: [1] MemMamba, arXiv 2510.03279. What it leaves open is fixed in docs/memmamba.md.
 */
final class Memory {
    private final MemMambaConfig config;
    private final NoteSelection selection;
    private final int layer;
    private final Tensor norm; // (d)
    private final Tensor scoreIn; // (d / 4, d)
    private final Tensor scoreInBias; // (d / 4)
    private final Tensor scoreOut; // (1, d / 4)
    private final Tensor scoreOutBias; // (1)
    private final Tensor threshold; // (1)
    private final Tensor summary; // (s, d)
    private final Tensor summaryBias; // (s)
    private final List<PoolRead> token; // one, or none
    private final List<PoolRead> below; // one, or none
    private final MemoryStep step;

    Memory(MemMambaConfig config, NoteSelection selection, Parameters parameters, int layer) {
        String name = "backbone.layers." + layer + ".memory.";
        this.config = config;
        this.selection = selection;
        this.layer = layer;
        norm = parameters.get(name + "norm.weight");
        scoreIn = parameters.get(name + "score_in.weight");
        scoreInBias = parameters.get(name + "score_in.bias");
        scoreOut = parameters.get(name + "score_out.weight");
        scoreOutBias = parameters.get(name + "score_out.bias");
        threshold = parameters.get(name + "threshold");
        threshold.requires_grad_(false);
        summary = parameters.get(name + "summary.weight");
        summaryBias = parameters.get(name + "summary.bias");
        token = config.memory().crossToken() ? List.of(new PoolRead(config, parameters, name + "token.")) : List.of();
        below = config.readsBelow(layer) ? List.of(new PoolRead(config, parameters, name + "layer.")) : List.of();
        step = new MemoryStep(config, parameters, layer);
    }

    /** Whether {@link #step} computes it: generation on the CPU, with a memory of the usual form. */
    boolean isStep(Tensor x, Carry carry, NotePolicy policy) {
        MemoryConfig memory = config.memory();
        return carry.wantsState()
                && x.size(1) == 1
                && (carry.tokensSeen() + 1) % memory.chunkSize() != 0
                && !x.is_cuda()
                && !x.requires_grad()
                && !policy.observes()
                && !memory.notesAtRandom()
                && memory.fusion().equals("residual")
                && memory.crossLayerTrigger().equals("period");
    }

    /** x̄ (1, 1, d) of one token that is not the last of its chunk. */
    Tensor step(Tensor x, Carry carry) {
        return step.forward(x, carry);
    }

    /**
     * What a layer makes of a residual stream.
     *
     * @param x x̄ (B, L, d)
     * @param pools what the layer's pool held, for layers above
     * @param activity for {@link NotePolicy#observe}; tensors are absent unless it is wanted
     */
    record Result(Tensor x, NotePools pools, NotePolicy.LayerActivity activity) {}

    /**
     * @param x the residual stream (B, L, d), L at least 1
     * @param carry what the sequence left here before; B is 1 if it left anything
     * @param lower pools of the layers that {@link MemMambaConfig#layersBelow} names, if this layer reads them
     */
    Result forward(Tensor x, Carry carry, List<NotePools> lower, NotePolicy policy) {
        MemoryConfig memory = config.memory();
        Chunks chunks = new Chunks(x.size(0), (int) x.size(1), memory.chunkSize(), carry.tokensSeen());
        LayerNotes before = carry.notes(layer);
        Tensor u = LanguageNetwork.rmsNorm(x, norm, config.mamba().normEpsilon()); // (B, L, d)
        Tensor a = importance(u, chunks.start()); // (B, L)
        Tensor s = LanguageNetwork.linear(u, summary, summaryBias).tanh(); // (B, L, s)

        Tensor rank = rank(a, policy); // (B, L)
        Notes notes = carry.wantsState() && chunks.boundaries() == 1
                ? withinAChunk(before, s, rank)
                : acrossChunks(before, s, a, rank, chunks, policy);
        NotePools pools = notes.pools();

        Tensor none = Tensors.absent();
        Tensor sum = x;
        Tensor ownMissed = none;
        Tensor belowMissed = none;
        Tensor tokenTail = none;
        Tensor layerTail = none;
        for (PoolRead read : token) {
            PoolRead.Reading reading = read.apply(x, u, pools, chunks, tail(before.tokenTail()));
            sum = sum.add(reading.term());
            ownMissed = reading.missed();
            tokenTail = reading.tail();
        }
        for (PoolRead read : below) {
            PoolRead.Reading reading = read.apply(x, u, NotePools.together(lower), chunks, tail(before.layerTail()));
            boolean byNeed = memory.crossLayerTrigger().equals("need") && ownMissed.defined();
            sum = sum.add(byNeed ? reading.term().mul(ownMissed) : reading.term());
            belowMissed = reading.missed();
            layerTail = reading.tail();
        }
        if (carry.wantsState()) {
            carry.updateNotes(layer, notes.next().apply(floats(tokenTail), floats(layerTail)));
        }
        NotePolicy.ThresholdMove move = policy.thresholdMove(chunks.length());
        if (move.weight() > 0) {
            NoGrad.run(() -> moveThreshold(a.detach(), move));
        }
        return new Result(sum, pools, policy.observes() ? activity(a, rank, ownMissed, belowMissed) : NOTHING_SEEN);
    }

    /**
     * What the memory makes of each token: for studies.
     *
     * @param score its importance (B, L)
     * @param threshold it is noted when its score is greater (1)
     * @param gate how much it reads of the layer's own notes (B, L, 1), or absent
     * @param gateBelow how much it reads of those of layers below (B, L, 1), or absent
     */
    record Look(Tensor score, Tensor threshold, Tensor gate, Tensor gateBelow) {}

    /** @param x the residual stream (B, L, d) */
    Look look(Tensor x) {
        Tensor u = LanguageNetwork.rmsNorm(x, norm, config.mamba().normEpsilon()); // (B, L, d)
        return new Look(
                importance(u, 0),
                threshold,
                token.isEmpty() ? Tensors.absent() : token.getFirst().gates(u),
                below.isEmpty() ? Tensors.absent() : below.getFirst().gates(u));
    }

    /**
     * What can be read, and what is remembered.
     *
     * @param next makes the notes that the next part of the sequence starts from, given the tails
     */
    private record Notes(NotePools pools, BiFunction<float[], float[], LayerNotes> next) {}

    /** No chunk ends: the pool stays as it is, and there is nothing to select. What decoding mostly does. */
    private Notes withinAChunk(LayerNotes before, Tensor s, Tensor rank) {
        int width = config.memory().summarySize();
        int places = Math.max(1, before.held());
        float[] logGates = new float[places];
        Arrays.fill(logGates, Float.NEGATIVE_INFINITY);
        for (int i = 0; i < before.held(); i++) {
            logGates[i] = logGate(before.importances()[i]);
        }
        NotePools pools = new NotePools(
                on(s, Tensors.of(Arrays.copyOf(before.summaries(), places * width), 1, places, width)),
                on(s, Tensors.of(logGates, 1, 1, places)));
        return new Notes(
                pools,
                (tokenTail, layerTail) ->
                        before.with(Tensors.toFloats(s), Tensors.toFloats(rank)).withTails(tokenTail, layerTail));
    }

    private Notes acrossChunks(LayerNotes before, Tensor s, Tensor a, Tensor rank, Chunks chunks, NotePolicy policy) {
        Tensor scores = withOld(before.importances(), before.openImportances(), a); // (B, S)
        Tensor summaries = withOld(before, s); // (B, S, s)
        NoteSelection.Candidates candidates = new NoteSelection.Candidates(
                withOld(before.importances(), before.openImportances(), rank), before.held(), before.open(), chunks);
        NoteSelection.Pools selected =
                selection.select(candidates, config.memory().replacementPolicy(), policy, policy.places());
        return new Notes(
                gather(selected, scores, summaries, chunks.count()),
                (tokenTail, layerTail) -> remember(before, selected, candidates, summaries, tokenTail, layerTail));
    }

    /** log σ(a). */
    static float logGate(double a) {
        return (float) (Math.min(a, 0) - Math.log1p(Math.exp(-Math.abs(a))));
    }

    private static final NotePolicy.LayerActivity NOTHING_SEEN = new NotePolicy.LayerActivity(
            Tensors.absent(), Tensors.absent(), Tensors.absent(), Tensors.absent(), Tensors.absent());

    /** @param start tokens that were read before {@code u} (B, L, d) */
    private Tensor importance(Tensor u, long start) {
        if (!config.memory().notesAtRandom()) {
            return score(u);
        }
        int length = (int) u.size(1);
        Tensor chance = Tensors.of(RandomImportance.of(layer, start, length), 1, length);
        return chance.to(u.device(), ScalarType.Float).expand(u.size(0), length);
    }

    private Tensor score(Tensor u) {
        Tensor hidden = torch.silu(LanguageNetwork.linear(u, scoreIn, scoreInBias)); // (B, L, d / 4)
        return LanguageNetwork.linear(hidden, scoreOut, scoreOutBias).squeeze(2); // (B, L)
    }

    /** The score of what is noted, -∞ for all else (a NaN among it). */
    private Tensor rank(Tensor a, NotePolicy policy) {
        Scalar never = new Scalar(Double.NEGATIVE_INFINITY);
        Tensor rank = a.detach();
        rank = policy.dense()
                ? rank.masked_fill(rank.isnan(), never)
                : rank.masked_fill(rank.gt(threshold).logical_not(), never);
        Tensor explored = policy.explored(layer, a.size(0), a.size(1));
        return explored.defined()
                ? rank.masked_fill(explored.to(a.device(), ScalarType.Bool), new Scalar(Double.POSITIVE_INFINITY))
                : rank;
    }

    /** (1, L) with what the sequence left in front of it: (1, S); a new sequence is as it is. */
    private static Tensor withOld(float[] pool, float[] open, Tensor fresh) {
        if (pool.length + open.length == 0) {
            return fresh;
        }
        float[] old = LayerNotes.joined(pool, open);
        return torch.cat(new TensorVector(on(fresh, Tensors.of(old, 1, old.length)), fresh), 1);
    }

    private Tensor withOld(LayerNotes before, Tensor fresh) {
        if (before.isEmpty()) {
            return fresh;
        }
        long s = config.memory().summarySize();
        Tensor pool = on(fresh, Tensors.of(before.summaries(), 1, before.held(), s));
        Tensor open = on(fresh, Tensors.of(before.openSummaries(), 1, before.open(), s));
        return torch.cat(new TensorVector(pool, open, fresh), 1);
    }

    private Tensor tail(float[] values) {
        return values.length == 0
                ? Tensors.absent()
                : on(norm, Tensors.of(values, 1, values.length / config.dModel(), config.dModel()));
    }

    private static Tensor on(Tensor where, Tensor tensor) {
        return where.is_cuda() ? tensor.to(where.device(), where.scalar_type()) : tensor;
    }

    /** The first {@code count} pools of each sequence with what stands in them. */
    private static NotePools gather(NoteSelection.Pools selected, Tensor scores, Tensor summaries, int count) {
        Tensor index = selected.index().narrow(1, 0, count); // (B, C, K)
        long batch = index.size(0);
        long places = index.size(2);
        Tensor flat = index.reshape(batch, count * places); // (B, C · K)
        Tensor rows = flat.unsqueeze(2).expand(batch, count * places, summaries.size(2)); // (B, C · K, s)
        Tensor empty = selected.filled().narrow(1, 0, count).logical_not(); // (B, C, K)
        Tensor logGates = torch.log_sigmoid(scores.gather(1, flat).view(batch, count, places))
                .masked_fill(empty, new Scalar(Double.NEGATIVE_INFINITY)); // (B, C, K)
        return new NotePools(
                summaries.gather(1, rows).view(batch * count, places, summaries.size(2)),
                logGates.view(batch * count, 1, places));
    }

    /** What the next part of the sequence (B = 1) starts from. */
    private LayerNotes remember(
            LayerNotes before,
            NoteSelection.Pools selected,
            NoteSelection.Candidates candidates,
            Tensor summaries,
            float[] tokenTail,
            float[] layerTail) {
        Chunks chunks = candidates.chunks();
        int last = chunks.boundaries() - 1;
        int width = config.memory().summarySize();
        int held = (int) selected.filled().select(1, last).sum().item_long();
        long[] index = Arrays.copyOf(Tensors.toLongs(selected.index().select(1, last)), held);
        float[] rank = Tensors.toFloats(candidates.rank()); // (S)
        int openFrom = before.held() + (last == 0 ? 0 : before.open() + chunks.from(last));
        int[] wanted = new int[held + rank.length - openFrom];
        float[] importances = new float[held];
        long[] positions = new long[held];
        for (int i = 0; i < held; i++) {
            int from = (int) index[i];
            wanted[i] = from;
            importances[i] = rank[from];
            positions[i] = from < before.held()
                    ? before.positions()[from]
                    : chunks.start() + from - before.held() - before.open();
        }
        Arrays.setAll(wanted, i -> i < held ? wanted[i] : openFrom + i - held);
        float[] rows = rows(summaries, wanted);
        return new LayerNotes(
                Arrays.copyOf(rows, held * width),
                importances,
                positions,
                Arrays.copyOfRange(rows, held * width, rows.length),
                Arrays.copyOfRange(rank, openFrom, rank.length),
                tokenTail,
                layerTail);
    }

    /** Some summaries of (1, S, s), one after the other: only these leave the device. */
    private static float[] rows(Tensor summaries, int[] wanted) {
        Tensor index = Tensors.ofTokens(wanted, 0, 1, wanted.length).view(-1);
        return Tensors.toFloats(summaries.index_select(1, index.to(summaries.device(), ScalarType.Long)));
    }

    private static float[] floats(Tensor tensor) {
        return tensor.defined() ? Tensors.toFloats(tensor) : new float[0];
    }

    private void moveThreshold(Tensor a, NotePolicy.ThresholdMove move) {
        Tensor quantile = a.flatten().kthvalue(move.scores(a.numel())).get0();
        threshold.mul_(new Scalar(1 - move.weight())).add_(quantile, new Scalar(move.weight()));
    }

    private static NotePolicy.LayerActivity activity(Tensor a, Tensor rank, Tensor ownMissed, Tensor belowMissed) {
        Tensor noted = rank.gt(new Scalar(Double.NEGATIVE_INFINITY));
        return new NotePolicy.LayerActivity(
                a.sigmoid().mean(),
                noted.to(ScalarType.Float).mean(),
                a.detach().mean(),
                attended(ownMissed),
                attended(belowMissed));
    }

    private static Tensor attended(Tensor missed) {
        return missed.defined() ? missed.detach().mean().neg().add(new Scalar(1.0)) : missed;
    }
}
