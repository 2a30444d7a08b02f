package org.mamba4j.torch.nn;

import org.bytedeco.pytorch.Tensor;
import org.mamba4j.torch.TensorScope;
import org.mamba4j.torch.Tensors;

/**
 * What a layer keeps of each token (1, H, T, n), outside of every scope. Its memory holds more tokens than were read and
 * doubles when it is full, so a token costs no copy of those before it; how many count is the owner's to know, so rows of
 * a pass that failed are simply written over.
 */
final class GrowingTensor implements AutoCloseable {
    private static final long LEAST_CAPACITY = 64;
    private static final int TOKENS = 2; // dimension

    private Tensor rows = Tensors.absent(); // (1, H, capacity, n)

    /**
     * Adds the rows of the tokens after the first {@code kept}.
     *
     * @param next (1, H, L, n)
     * @return the rows of all (1, H, kept + L, n), valid until the next call
     */
    Tensor append(long kept, Tensor next) {
        long end = kept + next.size(TOKENS);
        if (!rows.defined() || rows.size(TOKENS) < end) {
            grow(kept, Math.max(Math.max(LEAST_CAPACITY, end), 2 * kept), next);
        }
        if (rows.scalar_type().intern() != next.scalar_type().intern()) { // read from a file, which has float32
            replace(rows.to(next.scalar_type().intern()));
        }
        rows.narrow(TOKENS, kept, next.size(TOKENS)).copy_(next);
        return rows.narrow(TOKENS, 0, end);
    }

    private void grow(long kept, long capacity, Tensor like) {
        Tensor greater = Tensors.emptyLike(
                like, like.scalar_type().intern(), 1, like.size(1), capacity, like.size(3)); // (1, H, capacity, n)
        if (kept > 0) {
            greater.narrow(TOKENS, 0, kept).copy_(rows.narrow(TOKENS, 0, kept));
        }
        replace(greater);
    }

    private void replace(Tensor tensor) {
        try (TensorScope scope = TensorScope.temporaries()) {
            Tensor kept = scope.release(tensor);
            close();
            rows = kept;
        }
    }

    /** The first {@code kept} rows as a tensor of its own. */
    GrowingTensor copy(long kept) {
        GrowingTensor copy = new GrowingTensor();
        if (rows.defined()) {
            copy.replace(rows.narrow(TOKENS, 0, kept).clone());
        }
        return copy;
    }

    /** The first {@code kept} rows (H, kept, n). */
    float[] toFloats(long kept) {
        return rows.defined()
                ? TensorScope.call(() -> Tensors.toFloats(
                        rows.narrow(TOKENS, 0, kept).to(org.bytedeco.pytorch.global.torch.ScalarType.Float)))
                : new float[0];
    }

    /** Takes over what {@link #toFloats} gave. */
    void load(String device, float[] values, long... shape) {
        TensorScope.run(() -> replace(Tensors.on(device, Tensors.of(values, 1, shape[0], shape[1], shape[2]))));
    }

    /** Frees the memory; what comes next begins anew. */
    @Override
    public void close() {
        if (rows.defined()) {
            rows.close();
            rows = Tensors.absent();
        }
    }
}
