package org.mamba4j.kernel;

import static org.mamba4j.kernel.Check.present;

import java.lang.foreign.MemorySegment;

/**
 * What the backward pass of a selective scan reads and writes, beside the {@link ScanArguments} of its forward pass: the
 * gradient of the loss with respect to the outputs, and where to put those of the inputs. Every gradient is written, not
 * added to; one that is absent is not wanted. Outputs must not overlap any input or each other. Shapes are those of the
 * component of the same name in {@link ScanArguments}; validated by {@link SequenceKernels#scanBackward}.
 *
 * @param y gradient of y, read (B, L, D)
 * @param lastState gradient of the last state, read (B, D, N), optional: zeros
 * @param u gradient of u (B, L, D)
 * @param delta gradient of delta (B, L, D)
 * @param a gradient of a (D, N)
 * @param b gradient of b (B, L, N)
 * @param c gradient of c (B, L, N)
 * @param d gradient of d (D)
 * @param deltaBias gradient of deltaBias (D)
 * @param z gradient of z (B, L, D)
 * @param initialState gradient of the initial state (B, D, N), also when that was absent
 */
public record ScanGradients(
        Rows y,
        MemorySegment lastState,
        Rows u,
        Rows delta,
        MemorySegment a,
        Rows b,
        Rows c,
        MemorySegment d,
        MemorySegment deltaBias,
        Rows z,
        MemorySegment initialState) {

    /**
     * Checks these gradients, and that they fit {@code arguments}.
     *
     * @throws IllegalArgumentException naming the gradient whose shape or memory does not fit, and both shapes
     */
    void validate(ScanArguments arguments) {
        Check check = new Check(ScanArguments.OPERATION + " backward");
        int batch = arguments.batch();
        int length = arguments.length();
        int channels = arguments.channels();
        int states = arguments.states();
        check.rows("gradient of y", y, batch, length, channels);
        if (present(lastState)) {
            check.dense("gradient of lastState", lastState, batch, channels, states);
        }
        writable(check, "u", u, batch, length, channels);
        writable(check, "delta", delta, batch, length, channels);
        writable(check, "b", b, batch, length, states);
        writable(check, "c", c, batch, length, states);
        if (present(a)) {
            check.writableDense("gradient of a", a, channels, states);
        }
        if (present(d)) {
            check.require(present(arguments.d()), "the gradient of d is asked for, but there is no d");
            check.writableDense("gradient of d", d, channels);
        }
        if (present(deltaBias)) {
            check.writableDense("gradient of deltaBias", deltaBias, channels);
        }
        if (z.isPresent()) {
            check.require(arguments.z().isPresent(), "the gradient of z is asked for, but there is no z");
        }
        writable(check, "z", z, batch, length, channels);
        if (present(initialState)) {
            check.writableDense("gradient of initialState", initialState, batch, channels, states);
        }
    }

    private static void writable(Check check, String name, Rows rows, int batch, int length, int channels) {
        if (rows.isPresent()) {
            check.writableRows("gradient of " + name, rows, batch, length, channels);
        }
    }

    /** Gradients to be filled in; what is not set is not wanted. */
    public static Builder builder() {
        return new Builder();
    }

    /** Collects {@link ScanGradients}; each method sets the component of its name. */
    public static final class Builder {
        private Rows y = Rows.ABSENT;
        private MemorySegment lastState = MemorySegment.NULL;
        private Rows u = Rows.ABSENT;
        private Rows delta = Rows.ABSENT;
        private MemorySegment a = MemorySegment.NULL;
        private Rows b = Rows.ABSENT;
        private Rows c = Rows.ABSENT;
        private MemorySegment d = MemorySegment.NULL;
        private MemorySegment deltaBias = MemorySegment.NULL;
        private Rows z = Rows.ABSENT;
        private MemorySegment initialState = MemorySegment.NULL;

        private Builder() {}

        /** Read: gradient of y (B, L, D). */
        public Builder y(Rows y) {
            this.y = y;
            return this;
        }

        /** Read: gradient of the last state (B, D, N), optional. */
        public Builder lastState(MemorySegment lastState) {
            this.lastState = lastState;
            return this;
        }

        /** Written (B, L, D). */
        public Builder u(Rows u) {
            this.u = u;
            return this;
        }

        /** Written (B, L, D). */
        public Builder delta(Rows delta) {
            this.delta = delta;
            return this;
        }

        /** Written (D, N). */
        public Builder a(MemorySegment a) {
            this.a = a;
            return this;
        }

        /** Written (B, L, N). */
        public Builder b(Rows b) {
            this.b = b;
            return this;
        }

        /** Written (B, L, N). */
        public Builder c(Rows c) {
            this.c = c;
            return this;
        }

        /** Written (D). */
        public Builder d(MemorySegment d) {
            this.d = d;
            return this;
        }

        /** Written (D). */
        public Builder deltaBias(MemorySegment deltaBias) {
            this.deltaBias = deltaBias;
            return this;
        }

        /** Written (B, L, D). */
        public Builder z(Rows z) {
            this.z = z;
            return this;
        }

        /** Written (B, D, N). */
        public Builder initialState(MemorySegment initialState) {
            this.initialState = initialState;
            return this;
        }

        /** What was collected; {@link SequenceKernels#scanBackward} validates it against the arguments. */
        public ScanGradients build() {
            return new ScanGradients(y, lastState, u, delta, a, b, c, d, deltaBias, z, initialState);
        }
    }
}
