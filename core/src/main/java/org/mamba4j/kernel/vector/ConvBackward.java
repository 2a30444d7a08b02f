package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.ConvLayout.CHUNK;
import static org.mamba4j.kernel.vector.Lanes.BYTES;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.mamba4j.kernel.ConvArguments;
import org.mamba4j.kernel.ConvGradients;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.Workers;

/**
 * The backward convolution, from the first chunk to the last. The gradient of an input is complete K - 1 steps later, so
 * the window of gradients moves along with that of inputs, and each chunk writes those that it completed: of the initial
 * state first, then of x. Sums over the batch are added in the order of items.
 */
final class ConvBackward {
    private final ConvArguments s;
    private final ConvGradients g;
    private final ConvLayout layout;
    private final long partials;
    private final List<ConvPasses.Loop> loops;

    private ConvBackward(ConvArguments s, ConvGradients g, ConvLayout layout, long partials) {
        this.s = s;
        this.g = g;
        this.layout = layout;
        this.partials = partials;
        loops = ConvForward.linear(s);
        loops.add(s.silu() ? ConvPasses::siluGradients : ConvPasses::noSiluGradients);
        loops.add(ConvPasses::gradients);
        loops.add(ConvPasses::biasGradients);
    }

    static void run(ConvArguments s, ConvGradients g, ConvLayout layout, Workers workers) {
        try (Arena arena = Arena.ofConfined()) {
            long floats = layout.batch() * itemFloats(layout);
            long partials = arena.allocate(4 * Math.max(1, floats), 64).address();
            ConvBackward backward = new ConvBackward(s, g, layout, partials);
            workers.run(layout.tasks(), backward::run);
            backward.sumItems();
        }
    }

    /** Gradients of weight, then of bias. */
    private static long itemFloats(ConvLayout layout) {
        return layout.channels() * (layout.width() + 1L);
    }

    /** Task: one slice of one batch item, all steps. */
    private void run(int task) {
        int item = task / layout.slices();
        int slice = task % layout.slices();
        int kept = layout.kept();
        int width = layout.width();
        Scratch scratch = Scratch.ofThread(2L * width + 2 + 2L * kept + 6L * CHUNK);
        ConvFrame f = new ConvFrame(width);
        f.weight = scratch.take(width);
        f.dWeight = scratch.take(width);
        f.bias = scratch.take(1);
        f.dBias = scratch.take(1);
        f.window = scratch.take(kept + (long) CHUNK);
        f.dWindow = scratch.take(kept + (long) CHUNK);
        f.linear = scratch.take(CHUNK);
        f.power = scratch.take(CHUNK);
        f.dLinear = scratch.take(CHUNK);
        long staged = scratch.take(CHUNK);
        for (int channel = layout.firstChannel(slice); channel < layout.endChannel(slice); channel += Lanes.COUNT) {
            int count = Math.min(Lanes.COUNT, layout.channels() - channel);
            ConvForward.load(s, layout, f, item, channel, count);
            Lanes.clear(f.dWeight, (long) width * Lanes.COUNT);
            Lanes.clear(f.dBias, Lanes.COUNT);
            Lanes.clear(f.dWindow, (long) kept * Lanes.COUNT);
            for (int start = 0; start < layout.length(); start += CHUNK) {
                f.steps = Math.min(CHUNK, layout.length() - start);
                ConvForward.fill(s, layout, f, item, start, channel, count);
                Lanes.clear(f.dWindow + (long) kept * BYTES, (long) f.steps * Lanes.COUNT);
                f.gradY = ScanBlock.source(g.y(), item, start, f.steps, channel, count, staged);
                f.gradYStride = ScanBlock.stride(g.y(), count);
                for (ConvPasses.Loop loop : loops) {
                    loop.run(f);
                }
                deliver(f.dWindow, item, start - kept, f.steps, channel, count);
                ConvForward.keep(layout, f.window, f.steps);
                ConvForward.keep(layout, f.dWindow, f.steps);
            }
            addLastState(f.dWindow, item, channel, count);
            deliver(f.dWindow, item, layout.length() - kept, kept, channel, count);
            long sums = partials + 4L * item * itemFloats(layout);
            ScanBlock.fromLanes(f.dWeight, count, width, sums + 4L * channel * width);
            ScanBlock.fromLanes(f.dBias, count, 1, sums + 4L * layout.channels() * width + 4L * channel);
        }
    }

    /** Adds the gradient of the last state to that of the inputs that it consists of. */
    private void addLastState(long dWindow, int item, int channel, int count) {
        if (g.lastState().byteSize() == 0) {
            return;
        }
        int kept = layout.kept();
        for (int lane = 0; lane < count; lane++) {
            long from = g.lastState().address() + layout.state(item, channel + lane);
            for (int k = 0; k < kept; k++) {
                long at = dWindow + (long) k * BYTES + 4L * lane;
                Lanes.put(at, Lanes.get(at) + Lanes.get(from + 4L * k));
            }
        }
    }

    /** Writes {@code steps} gradients of inputs from step {@code from} on; negative steps are of the initial state. */
    private void deliver(long vectors, int item, int from, int steps, int channel, int count) {
        int kept = layout.kept();
        int ofState = Math.clamp(-(long) from, 0, steps);
        if (g.initialState().byteSize() > 0) {
            for (int i = 0; i < ofState; i++) {
                for (int lane = 0; lane < count; lane++) {
                    long to = g.initialState().address() + layout.state(item, channel + lane) + 4L * (kept + from + i);
                    Lanes.put(to, Lanes.get(vectors + (long) i * BYTES + 4L * lane));
                }
            }
        }
        Rows x = g.x();
        if (x.isPresent() && steps > ofState) {
            long to = ScanLayout.address(x, item, from + ofState, channel);
            for (int i = 0; i < steps - ofState; i++) {
                Lanes.copy(
                        vectors + (long) (ofState + i) * BYTES,
                        to + i * ScanLayout.stride(x),
                        (long) Float.BYTES * count);
            }
        }
    }

    private void sumItems() {
        long weights = (long) layout.channels() * layout.width();
        for (long i = 0; i < itemFloats(layout); i++) {
            float sum = 0;
            for (int item = 0; item < layout.batch(); item++) {
                sum += Lanes.get(partials + 4 * (item * itemFloats(layout) + i));
            }
            if (i < weights) {
                put(g.weight(), i, sum);
            } else {
                put(g.bias(), i - weights, sum);
            }
        }
    }

    private static void put(MemorySegment to, long index, float value) {
        if (to.byteSize() > 0) {
            Lanes.put(to.address() + 4 * index, value);
        }
    }
}
