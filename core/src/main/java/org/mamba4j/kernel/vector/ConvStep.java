package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.get;
import static org.mamba4j.kernel.vector.Lanes.put;

import java.util.function.IntConsumer;
import org.mamba4j.kernel.ConvArguments;

/**
 * One step of a convolution, as each generated token takes it, or a few: a few products per channel, which lie side by side
 * in memory with the inputs that they meet, so they are done one by one; only silu has channels as lanes.
 */
final class ConvStep implements IntConsumer {
    /** Channels of a task: fewer are done sooner than another thread is told of them. */
    private static final int SLICE = 2048;

    private static final ThreadLocal<ConvStep> OF_THREAD = ThreadLocal.withInitial(ConvStep::new);

    private int length;
    private int channels;
    private int width;
    private long x;
    private long xStride;
    private long weight;
    private long bias;
    private long initial;
    private long last;
    private long y;
    private long yStride;
    private boolean silu;

    private ConvStep() {}

    /** Whether {@code s} is so few steps that this class is to take them. */
    static boolean fits(ConvArguments s) {
        return s.length() > 0
                && s.length() <= ScanStep.MOST
                && s.batch() == 1
                && s.channels() > 0
                && (s.width() == 1
                        || (s.initialState().byteSize() > 0 && s.lastState().byteSize() > 0));
    }

    /** The steps of the calling thread, made ready for {@code s}, which must fit. */
    static ConvStep of(ConvArguments s) {
        ConvStep step = OF_THREAD.get();
        step.length = s.length();
        step.channels = s.channels();
        step.width = s.width();
        step.x = ScanLayout.address(s.x(), 0, 0, 0);
        step.xStride = ScanLayout.stride(s.x());
        step.weight = s.weight().address();
        step.bias = s.bias().byteSize() > 0 ? s.bias().address() : 0;
        step.initial = s.initialState().address();
        step.last = s.lastState().address();
        step.y = ScanLayout.address(s.y(), 0, 0, 0);
        step.yStride = ScanLayout.stride(s.y());
        step.silu = s.silu();
        return step;
    }

    int tasks() {
        return Math.ceilDiv(channels, SLICE);
    }

    @Override
    public void accept(int task) {
        int first = task * SLICE;
        int count = Math.min(SLICE, channels - first);
        long vectors = Lanes.blocks(SLICE);
        Scratch scratch = Scratch.ofThread(2 * vectors);
        long sums = scratch.take(vectors);
        StepFrame f = StepFrame.ofThread();
        f.count = count;
        f.x = sums;
        f.power = scratch.take(vectors);
        boolean cold = WarmUp.STEP.isCold();
        for (int t = 0; t < length; t++) {
            add(x + t * xStride + 4L * first, first, count, t == 0 ? initial : last, sums);
            if (silu) {
                ScanStep.silu(f, cold);
            }
            Lanes.copy(sums, y + t * yStride + 4L * first, 4L * count);
        }
    }

    /** The sums of some channels; moves their inputs on. */
    private void add(long from, int first, int count, long before, long sums) {
        if (width == 4) {
            addFour(from, first, count, before, sums);
            return;
        }
        int kept = width - 1;
        for (int i = 0; i < count; i++) {
            int channel = first + i;
            float now = get(from + 4L * i);
            long w = weight + 4L * channel * width;
            long row = 4L * channel * kept;
            float sum = bias == 0 ? 0 : get(bias + 4L * channel);
            for (int k = 0; k < kept; k++) {
                float old = get(before + row + 4L * k);
                sum += get(w + 4L * k) * old;
                if (k > 0) {
                    put(last + row + 4L * k - 4, old);
                }
            }
            if (kept > 0) {
                put(last + row + 4L * kept - 4, now);
            }
            put(sums + 4L * i, sum + get(w + 4L * kept) * now);
        }
    }

    /** The same for the width that models have, without a loop in the loop: a third of the time. */
    private void addFour(long from, int first, int count, long before, long sums) {
        for (int i = 0; i < count; i++) {
            int channel = first + i;
            long w = weight + 16L * channel;
            long old = before + 12L * channel;
            long moved = last + 12L * channel;
            float x0 = get(old);
            float x1 = get(old + 4);
            float x2 = get(old + 8);
            float x3 = get(from + 4L * i);
            float sum = bias == 0 ? 0 : get(bias + 4L * channel);
            sum += get(w) * x0;
            sum += get(w + 4) * x1;
            sum += get(w + 8) * x2;
            put(moved, x1);
            put(moved + 4, x2);
            put(moved + 8, x3);
            put(sums + 4L * i, sum + get(w + 12) * x3);
        }
    }
}
