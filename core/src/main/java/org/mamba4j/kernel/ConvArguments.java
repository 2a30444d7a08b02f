package org.mamba4j.kernel;

import static org.mamba4j.kernel.Check.present;

import java.lang.foreign.MemorySegment;

/**
 * What a causal depthwise convolution reads and writes: shapes in B (batch), L (length), D (channels), K (kernel width),
 * all float32 in native memory; validated when built, so that one object can be run any number of times. Outputs must
 * not overlap inputs or each other, except that {@code lastState} may be the very memory of {@code initialState}.
 *
 * @param x input (B, L, D)
 * @param weight (D, K); column K - 1 meets the current step, column 0 the oldest
 * @param bias (D), optional
 * @param silu whether y goes through silu
 * @param initialState the K - 1 inputs before the first step, oldest first (B, D, K - 1), optional: zeros
 * @param y output (B, L, D); absent only where no forward pass is run with these arguments
 * @param lastState output: the last K - 1 inputs (B, D, K - 1), optional
 */
public record ConvArguments(
        Rows x,
        MemorySegment weight,
        MemorySegment bias,
        boolean silu,
        MemorySegment initialState,
        Rows y,
        MemorySegment lastState) {
    /** The greatest K. */
    public static final int MAX_WIDTH = 256;

    static final String OPERATION = "causal convolution";

    /** @throws IllegalArgumentException naming the argument whose shape or memory does not fit, and both shapes */
    public ConvArguments {
        Check check = new Check(OPERATION);
        int batch = x.batch();
        int channels = x.channels();
        check.rows("x", x, batch, x.length(), channels);
        int width = width(x, weight);
        check.require(
                channels == 0 || (width >= 1 && width <= MAX_WIDTH),
                "weight holds " + weight.byteSize() + " bytes, which is a width of " + width + " for " + channels
                        + " channels, outside 1 to " + MAX_WIDTH);
        check.dense("weight", weight, channels, width);
        if (present(bias)) {
            check.dense("bias", bias, channels);
        }
        if (present(initialState)) {
            check.dense("initialState", initialState, batch, channels, width - 1);
        }
        if (y.isPresent()) {
            check.writableRows("y", y, batch, x.length(), channels);
        }
        if (present(lastState)) {
            check.writableDense("lastState", lastState, batch, channels, width - 1);
        }
    }

    private static int width(Rows x, MemorySegment weight) {
        return x.channels() == 0
                ? 1
                : (int) Math.min(Integer.MAX_VALUE, weight.byteSize() / ((long) Float.BYTES * x.channels()));
    }

    /** B. */
    public int batch() {
        return x.batch();
    }

    /** L. */
    public int length() {
        return x.length();
    }

    /** D. */
    public int channels() {
        return x.channels();
    }

    /** K. */
    public int width() {
        return width(x, weight);
    }

    /** Arguments to be filled in; what is not set is absent. */
    public static Builder builder() {
        return new Builder();
    }

    /** Collects {@link ConvArguments}; each method sets the component of its name. */
    public static final class Builder {
        private Rows x = Rows.ABSENT;
        private MemorySegment weight = MemorySegment.NULL;
        private MemorySegment bias = MemorySegment.NULL;
        private boolean silu;
        private MemorySegment initialState = MemorySegment.NULL;
        private Rows y = Rows.ABSENT;
        private MemorySegment lastState = MemorySegment.NULL;

        private Builder() {}

        /** Input (B, L, D): its shape is the one that the others must fit. */
        public Builder x(Rows x) {
            this.x = x;
            return this;
        }

        /** Kernel (D, K). */
        public Builder weight(MemorySegment weight) {
            this.weight = weight;
            return this;
        }

        /** Bias (D), optional. */
        public Builder bias(MemorySegment bias) {
            this.bias = bias;
            return this;
        }

        /** Whether y goes through silu; not by default. */
        public Builder silu(boolean silu) {
            this.silu = silu;
            return this;
        }

        /** The K - 1 inputs before the first step (B, D, K - 1), optional. */
        public Builder initialState(MemorySegment initialState) {
            this.initialState = initialState;
            return this;
        }

        /** Output (B, L, D). */
        public Builder y(Rows y) {
            this.y = y;
            return this;
        }

        /** Output: the last K - 1 inputs (B, D, K - 1), optional. */
        public Builder lastState(MemorySegment lastState) {
            this.lastState = lastState;
            return this;
        }

        /** @throws IllegalArgumentException naming the argument whose shape or memory does not fit, and both shapes */
        public ConvArguments build() {
            return new ConvArguments(x, weight, bias, silu, initialState, y, lastState);
        }
    }
}
