package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.mamba4j.memory.Replacement;

/**
 * A parallel prefix scan in libtorch's operations, which never leaves the tensors' device: "the K first of a prefix" is
 * associative, so the pools at all boundaries come from log2 rounds in which the list of each chunk is merged with that
 * of the chunk 1, 2, 4, … before it (Hillis and Steele, 1986). Sorting is stable and the earlier list stands first, so
 * equal ranks keep reading order. The reference for {@link RankedSelection}; for pools of one capacity only.
 */
final class MergedSelection implements NoteSelection {
    private static final Scalar NEVER = new Scalar(Double.NEGATIVE_INFINITY).retainReference();
    private static final Scalar LAST = new Scalar(Double.POSITIVE_INFINITY).retainReference();

    /**
     * Lists of one sequence after another.
     *
     * @param key (B, C', n) float64: what is kept is what has the greatest
     * @param index (B, C', n) int64 into the candidates
     */
    private record Lists(Tensor key, Tensor index) {
        /** The {@code places} greatest keys of each list, in falling order, equal ones in the order they stand in. */
        Lists first(int places) {
            T_TensorTensor_T sorted = torch.sort(key, new BoolOptional(true), -1, true);
            long kept = Math.min(places, key.size(2));
            return new Lists(
                    sorted.get0().narrow(2, 0, kept),
                    index.gather(2, sorted.get1().narrow(2, 0, kept)));
        }

        /** Widened to {@code places} with places that hold nothing. */
        Lists padded(int places) {
            long[] pad = {0, places - key.size(2)};
            return pad[1] == 0
                    ? this
                    : new Lists(torch.constant_pad_nd(key, pad, NEVER), torch.constant_pad_nd(index, pad));
        }

        Lists lists(long from, long count) {
            return new Lists(key.narrow(1, from, count), index.narrow(1, from, count));
        }

        static Lists cat(long dim, Lists a, Lists b) {
            return new Lists(
                    torch.cat(new TensorVector(a.key, b.key), dim), torch.cat(new TensorVector(a.index, b.index), dim));
        }
    }

    @Override
    public Pools select(Candidates candidates, Replacement replacement, Capacity capacity, int places) {
        Chunks chunks = candidates.chunks();
        if (capacity.after(0) != places || capacity.after(Long.MAX_VALUE) != places) {
            throw new IllegalArgumentException("merged selection is for pools of one capacity");
        }
        if (!replacement.isPriority() && !replacement.isFifo()) {
            throw new IllegalArgumentException("merged selection is for pools that importance or age alone decides");
        }
        Lists pools = elements(candidates, replacement, places);
        int boundaries = chunks.boundaries();
        for (int distance = 1; distance < boundaries; distance *= 2) {
            Lists earlier = pools.lists(0, boundaries - distance);
            Lists later = pools.lists(distance, boundaries - distance);
            Lists merged = Lists.cat(2, earlier, later).first(places);
            pools = Lists.cat(1, pools.lists(0, distance), merged);
        }
        if (replacement.isFifo()) {
            pools = inReadingOrder(pools);
        }
        Tensor filled = pools.key().isfinite().logical_or(pools.key().gt(new Scalar(0))); // +∞ is a rank too
        return new Pools(pools.index().mul(filled), filled);
    }

    /** What each boundary adds to the one before: the old pool, then one complete chunk each. */
    private static Lists elements(Candidates candidates, Replacement replacement, int places) {
        Tensor rank = candidates.rank().to(ScalarType.Double); // (B, S)
        long batch = rank.size(0);
        Tensor index = Tensor.create(range(rank.size(1))).to(rank.device(), ScalarType.Long);
        index = index.view(1, -1).expand(rank.shape()); // (B, S)
        Tensor key =
                replacement.isPriority() ? rank : index.to(ScalarType.Double).masked_fill(rank.eq(NEVER), NEVER);
        Chunks chunks = candidates.chunks();
        int complete = chunks.boundaries() - 1;
        Lists old = new Lists(
                        key.narrow(1, 0, candidates.held()).view(batch, 1, candidates.held()),
                        index.narrow(1, 0, candidates.held()).reshape(batch, 1, candidates.held()))
                .padded(places);
        Lists added = new Lists(
                        key.narrow(1, candidates.held(), (long) complete * chunks.size())
                                .reshape(batch, complete, chunks.size()),
                        index.narrow(1, candidates.held(), (long) complete * chunks.size())
                                .reshape(batch, complete, chunks.size()))
                .first(places)
                .padded(places);
        return Lists.cat(1, old, added);
    }

    private static Lists inReadingOrder(Lists pools) {
        Tensor order = pools.key().masked_fill(pools.key().eq(NEVER), LAST);
        T_TensorTensor_T sorted = torch.sort(order, new BoolOptional(true), -1, false);
        return new Lists(pools.key().gather(2, sorted.get1()), pools.index().gather(2, sorted.get1()));
    }

    private static long[] range(long n) {
        long[] all = new long[(int) n];
        for (int i = 0; i < all.length; i++) {
            all[i] = i;
        }
        return all;
    }
}
