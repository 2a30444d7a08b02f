package org.mamba4j.torch.nn;

import java.util.Arrays;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.memory.NoteRanking;
import org.mamba4j.memory.Replacement;
import org.mamba4j.torch.Tensors;

/**
 * One pass over the scores on the CPU, through {@link NoteRanking}: what each pool holds is known when its chunk begins.
 * Linear in L with a small constant, since nearly all tokens lose against the least note; on a GPU the scores travel.
 */
final class RankedSelection implements NoteSelection {
    @Override
    public Pools select(Candidates candidates, Replacement replacement, Capacity capacity, int places) {
        Chunks chunks = candidates.chunks();
        float[] rank = Tensors.toFloats(candidates.rank()); // (B, S)
        int batch = (int) chunks.batch();
        int perItem = rank.length / batch;
        int perPool = chunks.boundaries() * places;
        long[] index = new long[batch * perPool];
        float[] filled = new float[index.length];
        for (int b = 0; b < batch; b++) {
            NoteRanking ranking = new NoteRanking(places, replacement);
            Pass pass = new Pass(rank, b * perItem, ranking);
            pass.restore(candidates.held());
            for (int c = 0; c < chunks.boundaries(); c++) {
                ranking.limit(capacity.after(chunks.begin(c)));
                pass.offerUpTo(c, candidates);
                int at = b * perPool + c * places;
                for (int i = 0; i < ranking.size(); i++) {
                    index[at + i] = ranking.position(i);
                }
                Arrays.fill(filled, at, at + ranking.size(), 1);
            }
        }
        long[] shape = {batch, chunks.boundaries(), places};
        Device device = candidates.rank().device();
        return new Pools(
                Tensors.of(index, shape).to(device, ScalarType.Long),
                Tensors.of(filled, shape).to(device, ScalarType.Bool));
    }

    /** Offers the candidates of one sequence in order; their index stands for their position. */
    @SuppressWarnings("ArrayRecordComponent") // identity is enough: passes are never compared
    private record Pass(float[] rank, int base, NoteRanking ranking) {
        /** The pool that the sequence brought along, entry by entry. */
        void restore(int held) {
            for (int i = 0; i < held; i++) {
                if (!ranking.restore(rank[base + i], i, held)) {
                    throw new IllegalArgumentException("entry " + i + " of a pool of " + held + " is out of order");
                }
            }
        }

        void offer(int from, int to) {
            for (int i = from; i < to; i++) {
                ranking.offer(rank[base + i], i, Float.NEGATIVE_INFINITY);
            }
        }

        /** Those that are in the pool when chunk {@code c} begins and were not when the one before it did. */
        void offerUpTo(int c, Candidates candidates) {
            Chunks chunks = candidates.chunks();
            if (c == 0) {
                return; // the open chunk is this one
            }
            int newTokens = candidates.held() + candidates.open();
            int from = c == 1 ? candidates.held() : newTokens + chunks.from(c - 1);
            offer(from, newTokens + chunks.from(c));
        }
    }
}
