package org.mamba4j.kernel;

import static org.mamba4j.kernel.Check.present;

import java.lang.foreign.MemorySegment;

/**
 * What a selective scan reads and writes: shapes in B (batch), L (length), D (channels), N (states per channel), all
 * float32 in native memory. Validated when built, so that one object can be run any number of times without further
 * checks or allocation: for token-by-token use build it once with L = 1 over fixed buffers.
 *
 * <p>Optional arguments are absent as {@link Rows#ABSENT} and {@link MemorySegment#NULL}. Outputs must not overlap inputs
 * or each other, except that {@code lastState} may be the very memory of {@code initialState}. The memory must stay
 * allocated while a kernel runs.
 *
 * @param u input (B, L, D)
 * @param delta step sizes (B, L, D), before bias and softplus
 * @param a state matrix (D, N), as it stands in the exponent (negative for a stable model, not its logarithm)
 * @param b input matrix of each step (B, L, N)
 * @param c output matrix of each step (B, L, N)
 * @param d skip weight (D), optional
 * @param deltaBias added to delta (D), optional
 * @param z gate (B, L, D), optional: y is multiplied by silu(z)
 * @param softplus whether delta (with its bias) goes through softplus
 * @param initialState state before the first step (B, D, N), optional: zeros
 * @param y output (B, L, D); absent only where no forward pass is run with these arguments
 * @param lastState output: state after the last step (B, D, N), optional
 * @param checkpoints what {@link SequenceKernels#scanForward} keeps for {@link SequenceKernels#scanBackward}, of
 *     {@link SequenceKernels#scanCheckpointBytes} bytes; absent when there will be no backward pass
 */
public record ScanArguments(
        Rows u,
        Rows delta,
        MemorySegment a,
        Rows b,
        Rows c,
        MemorySegment d,
        MemorySegment deltaBias,
        Rows z,
        boolean softplus,
        MemorySegment initialState,
        Rows y,
        MemorySegment lastState,
        MemorySegment checkpoints) {
    /** The greatest N. */
    public static final int MAX_STATES = 256;

    static final String OPERATION = "selective scan";

    /** @throws IllegalArgumentException naming the argument whose shape or memory does not fit, and both shapes */
    public ScanArguments {
        Check check = new Check(OPERATION);
        int batch = u.batch();
        int length = u.length();
        int channels = u.channels();
        int states = b.channels();
        check.rows("u", u, batch, length, channels);
        check.rows("delta", delta, batch, length, channels);
        check.require(
                states >= 1 && states <= MAX_STATES,
                "b has shape " + b.shape() + ", whose N of " + states + " is outside 1 to " + MAX_STATES);
        check.rows("b", b, batch, length, states);
        check.rows("c", c, batch, length, states);
        check.dense("a", a, channels, states);
        if (present(d)) {
            check.dense("d", d, channels);
        }
        if (present(deltaBias)) {
            check.dense("deltaBias", deltaBias, channels);
        }
        if (z.isPresent()) {
            check.rows("z", z, batch, length, channels);
        }
        if (present(initialState)) {
            check.dense("initialState", initialState, batch, channels, states);
        }
        if (y.isPresent()) {
            check.writableRows("y", y, batch, length, channels);
        }
        if (present(lastState)) {
            check.writableDense("lastState", lastState, batch, channels, states);
        }
    }

    /** B. */
    public int batch() {
        return u.batch();
    }

    /** L. */
    public int length() {
        return u.length();
    }

    /** D. */
    public int channels() {
        return u.channels();
    }

    /** N. */
    public int states() {
        return b.channels();
    }

    /** Arguments to be filled in; what is not set is absent. */
    public static Builder builder() {
        return new Builder();
    }

    /** Collects {@link ScanArguments}; each method sets the component of its name. */
    public static final class Builder {
        private Rows u = Rows.ABSENT;
        private Rows delta = Rows.ABSENT;
        private MemorySegment a = MemorySegment.NULL;
        private Rows b = Rows.ABSENT;
        private Rows c = Rows.ABSENT;
        private MemorySegment d = MemorySegment.NULL;
        private MemorySegment deltaBias = MemorySegment.NULL;
        private Rows z = Rows.ABSENT;
        private boolean softplus;
        private MemorySegment initialState = MemorySegment.NULL;
        private Rows y = Rows.ABSENT;
        private MemorySegment lastState = MemorySegment.NULL;
        private MemorySegment checkpoints = MemorySegment.NULL;

        private Builder() {}

        /** Input (B, L, D): its shape is the one that the others must fit. */
        public Builder u(Rows u) {
            this.u = u;
            return this;
        }

        /** Step sizes (B, L, D), before bias and softplus. */
        public Builder delta(Rows delta) {
            this.delta = delta;
            return this;
        }

        /** State matrix (D, N). */
        public Builder a(MemorySegment a) {
            this.a = a;
            return this;
        }

        /** Input matrix of each step (B, L, N). */
        public Builder b(Rows b) {
            this.b = b;
            return this;
        }

        /** Output matrix of each step (B, L, N). */
        public Builder c(Rows c) {
            this.c = c;
            return this;
        }

        /** Skip weight (D), optional. */
        public Builder d(MemorySegment d) {
            this.d = d;
            return this;
        }

        /** Added to delta (D), optional. */
        public Builder deltaBias(MemorySegment deltaBias) {
            this.deltaBias = deltaBias;
            return this;
        }

        /** Gate (B, L, D), optional. */
        public Builder z(Rows z) {
            this.z = z;
            return this;
        }

        /** Whether delta goes through softplus; not by default. */
        public Builder softplus(boolean softplus) {
            this.softplus = softplus;
            return this;
        }

        /** State before the first step (B, D, N), optional. */
        public Builder initialState(MemorySegment initialState) {
            this.initialState = initialState;
            return this;
        }

        /** Output (B, L, D). */
        public Builder y(Rows y) {
            this.y = y;
            return this;
        }

        /** Output: state after the last step (B, D, N), optional. */
        public Builder lastState(MemorySegment lastState) {
            this.lastState = lastState;
            return this;
        }

        /** What the backward pass needs of the forward pass, optional. */
        public Builder checkpoints(MemorySegment checkpoints) {
            this.checkpoints = checkpoints;
            return this;
        }

        /** @throws IllegalArgumentException naming the argument whose shape or memory does not fit, and both shapes */
        public ScanArguments build() {
            return new ScanArguments(
                    u, delta, a, b, c, d, deltaBias, z, softplus, initialState, y, lastState, checkpoints);
        }
    }
}
