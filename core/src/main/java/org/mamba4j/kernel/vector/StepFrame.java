package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.store;

import jdk.incubator.vector.FloatVector;

/**
 * What the passes of a single step work on, one per thread: some channels, side by side in whole vectors, and a pass of
 * {@link ScanStep}'s own.
 */
final class StepFrame {
    /** One loop over all channels; see {@link org.mamba4j.kernel.vector.Pass} for why each is by itself. */
    @FunctionalInterface
    interface Loop {
        void run(StepFrame frame);
    }

    private static final ThreadLocal<StepFrame> OF_THREAD = ThreadLocal.withInitial(StepFrame::new);

    /** x = softplus(x). */
    static final Loop[] SOFTPLUS = {StepFrame::powers, StepFrame::softplus};

    /** x = silu(x). */
    static final Loop[] SILU = {StepFrame::powers, StepFrame::silu};

    /** x = sigmoid(x). */
    static final Loop[] SIGMOID = {StepFrame::powers, StepFrame::sigmoid};

    /** x = tanh(x). */
    static final Loop[] TANH = {StepFrame::twice, StepFrame::powers, StepFrame::sigmoid, StepFrame::twiceLessOne};

    /** x = e^x. */
    static final Loop[] EXP = {StepFrame::exp};

    /** Channels. */
    int count;

    long x;
    /** e^-|x|. */
    long power;

    /** δ and δ u of each channel, and where C · h goes. */
    long delta;

    long input;
    long y;

    /** Matrices of the channels (count, N), before and after the step. */
    long a;

    long before;
    long after;

    /** B and C of the step (N). */
    long b;

    long c;

    /** N. */
    int states;

    /** What {@link Norm} adds to the mean square. */
    float epsilon;

    /** From one row of {@link #a} to the next, in bytes, for {@link Attention}. */
    long stride;

    private StepFrame() {}

    static StepFrame ofThread() {
        return OF_THREAD.get();
    }

    /** The one place that runs loops: of so many kinds that the compiler inlines none of them, as {@link Product} explains. */
    void run(Loop[] loops) {
        for (Loop loop : loops) {
            loop.run(this);
        }
    }

    private static void powers(StepFrame f) {
        long x = f.x;
        long power = f.power;
        int count = f.count;
        for (int i = 0; i < count; i += Lanes.COUNT) {
            store(VectorMath.exp(load(x + 4L * i).abs().neg()), power + 4L * i);
        }
    }

    private static void softplus(StepFrame f) {
        long x = f.x;
        long power = f.power;
        int count = f.count;
        for (int i = 0; i < count; i += Lanes.COUNT) {
            store(VectorMath.softplus(load(x + 4L * i), load(power + 4L * i)), x + 4L * i);
        }
    }

    private static void silu(StepFrame f) {
        long x = f.x;
        long power = f.power;
        int count = f.count;
        for (int i = 0; i < count; i += Lanes.COUNT) {
            FloatVector value = load(x + 4L * i);
            store(value.mul(VectorMath.sigmoid(value, load(power + 4L * i))), x + 4L * i);
        }
    }

    private static void sigmoid(StepFrame f) {
        long x = f.x;
        long power = f.power;
        int count = f.count;
        for (int i = 0; i < count; i += Lanes.COUNT) {
            store(VectorMath.sigmoid(load(x + 4L * i), load(power + 4L * i)), x + 4L * i);
        }
    }

    private static void twice(StepFrame f) {
        for (int i = 0; i < f.count; i += Lanes.COUNT) {
            store(load(f.x + 4L * i).mul(2), f.x + 4L * i);
        }
    }

    private static void twiceLessOne(StepFrame f) {
        for (int i = 0; i < f.count; i += Lanes.COUNT) {
            store(load(f.x + 4L * i).mul(2).sub(1), f.x + 4L * i);
        }
    }

    private static void exp(StepFrame f) {
        for (int i = 0; i < f.count; i += Lanes.COUNT) {
            store(VectorMath.exp(load(f.x + 4L * i)), f.x + 4L * i);
        }
    }
}
