package org.mamba4j.data;

import org.mamba4j.UserError;

/**
 * Windows of a text: inputs are L tokens, targets the same ones shifted by one.
 *
 * <p>Windows do not overlap but for the one token that is a target in one and an input in the next, so every token is
 * predicted once per epoch. Documents follow each other without a mark; a window may span several.
 *
 * <p>{@link #shuffled}, for training: window number s of all that are ever drawn is number s mod W of epoch s / W, in
 * an order of its own per epoch ({@link Permutation}); when the text does not divide by L, each epoch also begins at
 * another of the spare tokens. {@link #sequential}, for evaluation: always the same windows in the order of the text.
 */
public final class Windows implements BatchSource {
    private final TokenView tokens;
    private final int length;
    private final int rows;
    private final Order order;

    /** Which window comes when. */
    private sealed interface Order {
        /** First token of the window that is drawn as number {@code sample}. */
        long start(long sample);
    }

    private record Shuffled(long windows, int length, long spare, long seed) implements Order {
        @Override
        public long start(long sample) {
            long epoch = sample / windows;
            long key = Permutation.mix(Permutation.mix(seed) + epoch);
            long phase = Long.remainderUnsigned(Permutation.mix(key ^ 0x5EED), spare + 1);
            return phase + new Permutation(windows, key).at(sample % windows) * length;
        }
    }

    private record Sequential(long windows, int length, long chosen) implements Order {
        @Override
        public long start(long sample) {
            // Spread evenly when not all are wanted; 128 bits are not needed, as windows · chosen < tokens^2 / L^2.
            long window = chosen == windows ? sample : Math.multiplyExact(sample, windows) / chosen;
            return window * length;
        }
    }

    private Windows(TokenView tokens, int length, int rows, Order order) {
        this.tokens = tokens;
        this.length = length;
        this.rows = rows;
        this.order = order;
    }

    /**
     * Endless batches of {@code rows} windows for training.
     *
     * @param length tokens per window (L)
     * @param rows windows per batch (B)
     * @param seed of the order
     * @throws UserError if the text has fewer than L + 1 tokens
     */
    public static Windows shuffled(TokenView tokens, int length, int rows, long seed) {
        long windows = count(tokens, length, rows, "train");
        return new Windows(
                tokens, length, rows, new Shuffled(windows, length, tokens.size() - 1 - windows * length, seed));
    }

    /**
     * Batches of {@code rows} windows (the last may have fewer) that cover the text once.
     *
     * @param length tokens per window (L)
     * @param rows windows per batch (B)
     * @param maxWindows at most so many windows, spread evenly over the text; {@link Long#MAX_VALUE} for all
     * @throws UserError if the text has fewer than L + 1 tokens
     */
    public static Windows sequential(TokenView tokens, int length, int rows, long maxWindows) {
        long windows = count(tokens, length, rows, "valid");
        if (maxWindows < 1) {
            throw new UserError("at most " + maxWindows + " windows are to be evaluated: it must be at least 1");
        }
        return new Windows(tokens, length, rows, new Sequential(windows, length, Math.min(maxWindows, windows)));
    }

    private static long count(TokenView tokens, int length, int rows, String part) {
        if (length < 1 || rows < 1) {
            throw new UserError("windows of " + length + " tokens in batches of " + rows + ": both must be at least 1");
        }
        long windows = (tokens.size() - 1) / length;
        if (windows < 1) {
            throw new UserError("the " + part + " part of " + tokens.file().path() + " has " + tokens.size()
                    + " tokens, a window of length " + length + " needs " + (length + 1L)
                    + ": use a shorter window, a larger " + part + " part or more text");
        }
        return windows;
    }

    /** Number of windows in an epoch (W). */
    public long windows() {
        return switch (order) {
            case Shuffled s -> s.windows();
            case Sequential s -> s.chosen();
        };
    }

    @Override
    public long batchesPerEpoch() {
        return Math.ceilDiv(windows(), (long) rows);
    }

    @Override
    public int vocabSize() {
        return tokens.file().vocabSize();
    }

    @Override
    public Batch batch(long index) {
        if (index < 0 || (order instanceof Sequential && index >= batchesPerEpoch())) {
            throw new IndexOutOfBoundsException("batch " + index + " of " + batchesPerEpoch());
        }
        long first = Math.multiplyExact(index, (long) rows);
        int n = order instanceof Sequential ? (int) Math.min(rows, windows() - first) : rows;
        int[] inputs = new int[Math.multiplyExact(n, length)];
        int[] targets = new int[inputs.length];
        int[] window = new int[length + 1];
        for (int b = 0; b < n; b++) {
            tokens.read(order.start(first + b), window.length, window, 0);
            System.arraycopy(window, 0, inputs, b * length, length);
            System.arraycopy(window, 1, targets, b * length, length);
        }
        return Batch.of(n, inputs, targets);
    }
}
