package org.mamba4j.kernel;

import static org.mamba4j.kernel.Check.present;

import java.lang.foreign.MemorySegment;

/**
 * What the backward pass of a causal convolution reads and writes, beside the {@link ConvArguments} of its forward pass.
 * Every gradient is written, not added to; one that is absent is not wanted. Shapes are those of the component of the
 * same name in {@link ConvArguments}; validated by {@link SequenceKernels#convBackward}.
 *
 * @param y gradient of y, read (B, L, D)
 * @param lastState gradient of the last state, read (B, D, K - 1), optional: zeros
 * @param x gradient of x (B, L, D)
 * @param weight gradient of weight (D, K)
 * @param bias gradient of bias (D), also when that was absent
 * @param initialState gradient of the initial state (B, D, K - 1), also when that was absent
 */
public record ConvGradients(
        Rows y, MemorySegment lastState, Rows x, MemorySegment weight, MemorySegment bias, MemorySegment initialState) {

    /**
     * Checks these gradients, and that they fit {@code arguments}.
     *
     * @throws IllegalArgumentException naming the gradient whose shape or memory does not fit, and both shapes
     */
    void validate(ConvArguments arguments) {
        Check check = new Check(ConvArguments.OPERATION + " backward");
        int batch = arguments.batch();
        int length = arguments.length();
        int channels = arguments.channels();
        int width = arguments.width();
        check.rows("gradient of y", y, batch, length, channels);
        if (present(lastState)) {
            check.dense("gradient of lastState", lastState, batch, channels, width - 1);
        }
        if (x.isPresent()) {
            check.writableRows("gradient of x", x, batch, length, channels);
        }
        if (present(weight)) {
            check.writableDense("gradient of weight", weight, channels, width);
        }
        if (present(bias)) {
            check.writableDense("gradient of bias", bias, channels);
        }
        if (present(initialState)) {
            check.writableDense("gradient of initialState", initialState, batch, channels, width - 1);
        }
    }

    /** Gradients to be filled in; what is not set is not wanted. */
    public static Builder builder() {
        return new Builder();
    }

    /** Collects {@link ConvGradients}; each method sets the component of its name. */
    public static final class Builder {
        private Rows y = Rows.ABSENT;
        private MemorySegment lastState = MemorySegment.NULL;
        private Rows x = Rows.ABSENT;
        private MemorySegment weight = MemorySegment.NULL;
        private MemorySegment bias = MemorySegment.NULL;
        private MemorySegment initialState = MemorySegment.NULL;

        private Builder() {}

        /** Read: gradient of y (B, L, D). */
        public Builder y(Rows y) {
            this.y = y;
            return this;
        }

        /** Read: gradient of the last state (B, D, K - 1), optional. */
        public Builder lastState(MemorySegment lastState) {
            this.lastState = lastState;
            return this;
        }

        /** Written (B, L, D). */
        public Builder x(Rows x) {
            this.x = x;
            return this;
        }

        /** Written (D, K). */
        public Builder weight(MemorySegment weight) {
            this.weight = weight;
            return this;
        }

        /** Written (D). */
        public Builder bias(MemorySegment bias) {
            this.bias = bias;
            return this;
        }

        /** Written (B, D, K - 1). */
        public Builder initialState(MemorySegment initialState) {
            this.initialState = initialState;
            return this;
        }

        /** What was collected; {@link SequenceKernels#convBackward} validates it against the arguments. */
        public ConvGradients build() {
            return new ConvGradients(y, lastState, x, weight, bias, initialState);
        }
    }
}
