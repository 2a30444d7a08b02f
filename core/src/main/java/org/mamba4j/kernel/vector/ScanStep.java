package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.load;
import static org.mamba4j.kernel.vector.Lanes.put;
import static org.mamba4j.kernel.vector.Lanes.store;
import static org.mamba4j.kernel.vector.Lanes.zero;

import java.lang.foreign.MemorySegment;
import java.util.function.IntConsumer;
import jdk.incubator.vector.FloatVector;
import org.mamba4j.kernel.ScanArguments;

/**
 * One step of a scan, as each generated token takes it, or a few, as the shortest prompts do.
 *
 * <p>For so few it would not pay to bring channels side by side as {@link ScanForward} does, so here lanes are the states
 * of one channel, which lie side by side in memory; only what is done once per channel (softplus, silu) has channels as
 * lanes. Where N does not fill vectors, states are copied to where zeros follow those of a channel.
 */
final class ScanStep implements IntConsumer {
    /** Steps that are taken one by one. */
    static final int MOST = 8;

    /** Channels of a task. */
    private static final int SLICE = 256;

    private static final StepFrame.Loop[] BIAS = {f -> DenseLoops.add(f.delta, f.input, f.count)};
    private static final StepFrame.Loop[] RECURRENCE = {ScanStep::channels};
    private static final ThreadLocal<ScanStep> OF_THREAD = ThreadLocal.withInitial(ScanStep::new);

    private int length;
    private long u;
    private long uStride;
    private long delta;
    private long deltaStride;
    private long bias;
    private long b;
    private long bStride;
    private long c;
    private long cStride;
    private long skip;
    private long z;
    private long zStride;
    private long a;
    private long state;
    private long last;
    private long y;
    private long yStride;
    private int states;
    private int channels;
    private boolean softplus;

    private ScanStep() {}

    /** Whether {@code s} is so few steps that this class is to take them. */
    static boolean fits(ScanArguments s) {
        return s.length() > 0
                && s.length() <= MOST
                && s.batch() == 1
                && s.channels() > 0
                && s.initialState().byteSize() > 0
                && s.lastState().byteSize() > 0
                && s.checkpoints().byteSize() == 0;
    }

    /** The steps of the calling thread, made ready for {@code s}, which must fit. */
    static ScanStep of(ScanArguments s) {
        ScanStep step = OF_THREAD.get();
        step.length = s.length();
        step.u = ScanLayout.address(s.u(), 0, 0, 0);
        step.uStride = ScanLayout.stride(s.u());
        step.delta = ScanLayout.address(s.delta(), 0, 0, 0);
        step.deltaStride = ScanLayout.stride(s.delta());
        step.bias = address(s.deltaBias());
        step.b = ScanLayout.address(s.b(), 0, 0, 0);
        step.bStride = ScanLayout.stride(s.b());
        step.c = ScanLayout.address(s.c(), 0, 0, 0);
        step.cStride = ScanLayout.stride(s.c());
        step.skip = address(s.d());
        step.z = s.z().isPresent() ? ScanLayout.address(s.z(), 0, 0, 0) : 0;
        step.zStride = ScanLayout.stride(s.z());
        step.a = s.a().address();
        step.state = s.initialState().address();
        step.last = s.lastState().address();
        step.y = ScanLayout.address(s.y(), 0, 0, 0);
        step.yStride = ScanLayout.stride(s.y());
        step.states = s.states();
        step.channels = s.channels();
        step.softplus = s.softplus();
        return step;
    }

    private static long address(MemorySegment optional) {
        return optional.byteSize() == 0 ? 0 : optional.address();
    }

    int tasks() {
        return Math.ceilDiv(channels, SLICE);
    }

    @Override
    public void accept(int task) {
        boolean cold = WarmUp.STEP.isCold();
        for (int t = 0; t < length; t++) {
            take(t, task * SLICE, cold);
        }
    }

    /** Takes step {@code t} for the slice of channels that begins with {@code first}. */
    private void take(int t, int first, boolean cold) {
        int count = Math.min(SLICE, channels - first);
        long vectors = Math.ceilDiv(SLICE, Lanes.COUNT);
        Scratch scratch = Scratch.ofThread(4 * vectors + padding(count, states));
        StepFrame f = StepFrame.ofThread();
        f.count = count;
        f.states = states;
        f.delta = scratch.take(vectors);
        long scaled = scratch.take(vectors);
        f.x = f.delta;
        f.power = scratch.take(vectors);
        long gate = scratch.take(vectors);
        long at = 4L * first;
        long inputs = u + t * uStride + at;
        long outputs = y + t * yStride + at;
        Lanes.copy(delta + t * deltaStride + at, f.delta, 4L * count);
        if (bias != 0) {
            f.input = bias + at;
            addBias(f, cold);
        }
        if (softplus) {
            softplus(f, cold);
        }
        f.input = scaled;
        DenseLoops.multiply(f.delta, inputs, count, scaled);
        long matrix = at * states;
        f.a = a + matrix;
        f.before = (t == 0 ? state : last) + matrix;
        f.after = last + matrix;
        f.y = outputs;
        f.b = b + t * bStride;
        f.c = c + t * cStride;
        if (cold) {
            ScalarLoops.recurrence(f);
        } else {
            recurrence(f, scratch);
        }
        if (skip != 0) {
            DenseLoops.addProducts(skip + at, inputs, count, outputs);
        }
        if (z != 0) {
            Lanes.copy(z + t * zStride + at, gate, 4L * count);
            f.x = gate;
            silu(f, cold);
            DenseLoops.multiply(gate, outputs, count, outputs);
        }
    }

    private static void addBias(StepFrame f, boolean cold) {
        if (cold) {
            ScalarLoops.add(f.delta, f.input, f.count);
        } else {
            f.run(BIAS);
        }
    }

    private static void softplus(StepFrame f, boolean cold) {
        if (cold) {
            ScalarLoops.softplus(f.x, f.count);
        } else {
            f.run(StepFrame.SOFTPLUS);
        }
    }

    static void silu(StepFrame f, boolean cold) {
        if (cold) {
            ScalarLoops.silu(f.x, f.count);
        } else {
            f.run(StepFrame.SILU);
        }
    }

    /**
     * The recurrence of all channels of {@code f}, on vectors.
     *
     * @param scratch with room for {@link #padding}
     */
    static void recurrence(StepFrame f, Scratch scratch) {
        if (f.states % Lanes.COUNT == 0) {
            f.run(RECURRENCE);
            return;
        }
        int states = f.states;
        long after = f.after;
        f.b = padded(f.b, 1, states, scratch);
        f.c = padded(f.c, 1, states, scratch);
        f.a = padded(f.a, f.count, states, scratch);
        f.before = padded(f.before, f.count, states, scratch);
        f.after = f.before;
        f.states = Lanes.blocks(states) * Lanes.COUNT;
        f.run(RECURRENCE);
        Lanes.copy(f.after, 4L * f.states, after, 4L * states, f.count, states);
    }

    /** Vectors of scratch that {@link #recurrence} needs. */
    static long padding(int channels, int states) {
        return states % Lanes.COUNT == 0 ? 0 : (2L + 2L * channels) * Lanes.blocks(states);
    }

    /** Rows of {@code states} floats at {@code from}, each followed by zeros to the end of a vector. */
    private static long padded(long from, int rows, int states, Scratch scratch) {
        int blocks = Lanes.blocks(states);
        int width = blocks * Lanes.COUNT;
        long to = scratch.take((long) rows * blocks);
        Lanes.copy(from, 4L * states, to, 4L * width, rows, states);
        for (int row = 0; row < rows; row++) {
            for (int n = states; n < width; n++) {
                put(to + 4L * (row * width + n), 0);
            }
        }
        return to;
    }

    private static void channels(StepFrame f) {
        int states = f.states;
        for (int i = 0; i < f.count; i++) {
            long offset = 4L * states * i;
            float power = get(f.delta + 4L * i) * VectorMath.LOG2_E;
            put(
                    f.y + 4L * i,
                    recurrence(
                            states,
                            power,
                            get(f.input + 4L * i),
                            f,
                            f.a + offset,
                            f.before + offset,
                            f.after + offset));
        }
    }

    /** h = exp(δ A) h + δ u B; C · h. */
    private static float recurrence(
            int states, float power, float input, StepFrame f, long exponents, long before, long after) {
        FloatVector sum = zero();
        for (int n = 0; n < states; n += Lanes.COUNT) {
            long at = 4L * n;
            FloatVector decay = VectorMath.exp2(load(exponents + at).mul(power));
            FloatVector h = decay.fma(load(before + at), load(f.b + at).mul(input));
            store(h, after + at);
            sum = h.fma(load(f.c + at), sum);
        }
        return LaneSum.sum(sum);
    }
}
