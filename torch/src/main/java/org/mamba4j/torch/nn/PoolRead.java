package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.MemoryConfig;
import org.mamba4j.torch.Tensors;

/**
 * One way of reading notes: attention of every token over the pool that its chunk began with, a read gate, and the
 * fusion with the residual stream.
 *
 * <pre>
 * r_t     = σ(w_r · u_t + b_r), and 0 unless above τ2
 * logit_j = (W_q u_t) · (W_k s_j) / √s + log g_j;   one more, learned, for reading nothing
 * c_t     = W_v Σ_j softmax_j s_j
 * x̄_t     = x_t + r_t c_t                             (or another fusion)
 * </pre>
 *
 * <p>log g lets the gradient reach the scorer through the notes that are read, and makes a closed gate equal to no note.
 * Since W_k meets the query only, the pools are never projected: W_kᵀ W_q is one matrix. A pool belongs to a whole chunk,
 * so the attention of all chunks is one batched product of (B · C, W, s) with (B · C, s, K), and costs O(L · K · s).
 *
 * <p>Shapes: as {@link Memory} has them; K places of a pool.
 */
final class PoolRead {
    private final MemoryConfig memory;
    private final Tensor query; // (s, d)
    private final Tensor key; // (s, s)
    private final Tensor value; // (d, s)
    private final Tensor nothing; // (1)
    private final Tensor gate; // (1, d) or absent
    private final Tensor gateBias; // (1) or absent
    private final Tensor fusion; // by variant, or absent
    private final Tensor fusionBias; // (d) or absent

    /** @param name of the tensors, up to the last dot */
    PoolRead(MemMambaConfig config, Parameters parameters, String name) {
        memory = config.memory();
        query = parameters.get(name + "query.weight");
        key = parameters.get(name + "key.weight");
        value = parameters.get(name + "value.weight");
        nothing = parameters.get(name + "nothing");
        gate = parameters.get(name + "gate.weight");
        gateBias = parameters.get(name + "gate.bias");
        fusion = parameters.get(name + "fusion.weight");
        fusionBias = parameters.get(name + "fusion.bias");
    }

    /**
     * What reading gave.
     *
     * @param term what is to be added to the residual stream (B, L, d)
     * @param missed share of each token's attention that went to nothing (B, L, 1)
     * @param tail the last inputs of the fusion's convolution (B, taps - 1, d), or absent
     */
    record Reading(Tensor term, Tensor missed, Tensor tail) {}

    /**
     * @param x the residual stream (B, L, d)
     * @param u its norm (B, L, d)
     * @param tail as {@link Reading} has it, of the tokens before, or absent for zeros
     */
    Reading apply(Tensor x, Tensor u, NotePools pools, Chunks chunks, Tensor tail) {
        Tensor q = chunks.split(torch.linear(u, key.t().matmul(query))); // (B · C, W, s)
        Tensor logits = torch.baddbmm(
                pools.logGates(), // (B · C, 1, K)
                q,
                pools.summaries().transpose(1, 2), // (B · C, s, K)
                new Scalar(1.0),
                new Scalar(1 / Math.sqrt(memory.summarySize()))); // (B · C, W, K)
        Tensor attention = torch.cat(new TensorVector(logits, nothing.expand(q.size(0), q.size(1), 1)), 2)
                .softmax(2); // (B · C, W, K + 1)
        long places = logits.size(2);
        Tensor read = torch.bmm(attention.narrow(2, 0, places), pools.summaries()); // (B · C, W, s)
        Tensor c = torch.linear(chunks.join(read), value); // (B, L, d)
        return fuse(x, u, c, chunks.join(attention.narrow(2, places, 1)), tail);
    }

    /** How much each token reads (B, L, 1), or absent where a gate decides nothing. */
    Tensor gates(Tensor u) {
        return gate.defined() ? readGate(u) : gate;
    }

    private Tensor readGate(Tensor u) {
        Tensor r = torch.linear(u, gate, new TensorOptional(gateBias)).sigmoid(); // (B, L, 1)
        return memory.readThreshold() > 0 ? r.mul(r.gt(new Scalar(memory.readThreshold()))) : r;
    }

    private Reading fuse(Tensor x, Tensor u, Tensor c, Tensor missed, Tensor tail) {
        Tensor none = Tensors.absent();
        if (memory.fusion().equals("plain")) {
            // The gate only decides who reads.
            Tensor term = gate.defined() ? c.mul(readGate(u).gt(new Scalar(0))) : c;
            return new Reading(term, missed, none);
        }
        Tensor rc = readGate(u).mul(c); // (B, L, d)
        return switch (memory.fusion()) {
            case "residual" -> new Reading(rc, missed, none);
            case "product" -> new Reading(x.mul(rc), missed, none);
            case "scalar" -> new Reading(fusion.mul(rc), missed, none);
            case "gate" -> {
                Tensor both = torch.cat(new TensorVector(x, c), 2); // (B, L, 2d)
                Tensor open = torch.linear(both, fusion, new TensorOptional(fusionBias))
                        .sigmoid(); // (B, L, d)
                yield new Reading(open.mul(rc), missed, none);
            }
            case "conv" -> convolve(rc, missed, tail);
            default -> throw new IllegalStateException("fusion " + memory.fusion());
        };
    }

    private Reading convolve(Tensor rc, Tensor missed, Tensor tail) {
        int before = MemoryConfig.FUSION_TAPS - 1;
        Tensor padded = tail.defined()
                ? torch.cat(new TensorVector(tail, rc), 1)
                : torch.constant_pad_nd(rc, new long[] {0, 0, before, 0}); // (B, taps - 1 + L, d)
        Tensor term = Tensors.absent();
        for (int tap = 0; tap <= before; tap++) {
            Tensor shifted =
                    padded.narrow(1, tap, rc.size(1)).mul(fusion.select(2, tap).view(-1)); // (B, L, d)
            term = term.defined() ? term.add(shifted) : shifted;
        }
        return new Reading(term, missed, padded.narrow(1, padded.size(1) - before, before));
    }
}
