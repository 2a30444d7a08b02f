package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.ConvLayout.CHUNK;
import static org.mamba4j.kernel.vector.Lanes.BYTES;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.kernel.ConvArguments;

/**
 * The forward convolution. Lanes are adjacent channels. The inputs of a chunk are copied behind the K - 1 before them, so
 * that the state, the sequence's start and channels that do not fill a vector need no case of their own.
 */
final class ConvForward {
    private final ConvArguments s;
    private final ConvLayout layout;
    private final List<ConvPasses.Loop> loops;

    ConvForward(ConvArguments s, ConvLayout layout) {
        this.s = s;
        this.layout = layout;
        loops = linear(s);
        loops.add(s.silu() ? ConvPasses::silu : ConvPasses::noSilu);
    }

    /** The loops up to where silu or its derivative comes. */
    static List<ConvPasses.Loop> linear(ConvArguments s) {
        List<ConvPasses.Loop> loops = new ArrayList<>();
        loops.add(s.width() == 4 ? ConvPasses::sums4 : ConvPasses::sums);
        if (s.silu()) {
            loops.add(ConvPasses::powers);
        }
        return loops;
    }

    /** Task: one slice of one batch item, all steps. */
    void run(int task) {
        int item = task / layout.slices();
        int slice = task % layout.slices();
        int kept = layout.kept();
        int width = layout.width();
        Scratch scratch = Scratch.ofThread(width + 1L + kept + 4L * CHUNK);
        ConvFrame f = new ConvFrame(width);
        f.weight = scratch.take(width);
        f.bias = scratch.take(1);
        f.window = scratch.take(kept + (long) CHUNK);
        f.linear = scratch.take(CHUNK);
        f.power = scratch.take(CHUNK);
        long staged = scratch.take(CHUNK);
        for (int channel = layout.firstChannel(slice); channel < layout.endChannel(slice); channel += Lanes.COUNT) {
            int count = Math.min(Lanes.COUNT, layout.channels() - channel);
            load(s, layout, f, item, channel, count);
            for (int start = 0; start < layout.length(); start += CHUNK) {
                f.steps = Math.min(CHUNK, layout.length() - start);
                fill(s, layout, f, item, start, channel, count);
                f.to = ScanBlock.target(s.y(), item, start, channel, count, staged);
                f.toStride = ScanBlock.stride(s.y(), count);
                for (ConvPasses.Loop loop : loops) {
                    loop.run(f);
                }
                ScanBlock.deliver(s.y(), item, start, f.steps, channel, count, staged);
                keep(layout, f.window, f.steps);
            }
            if (s.lastState().byteSize() > 0) {
                ScanBlock.fromLanes(f.window, count, kept, s.lastState().address() + layout.state(item, channel));
            }
        }
    }

    /** Brings weight, bias and initial state of a block of channels into the frame. */
    static void load(ConvArguments s, ConvLayout layout, ConvFrame f, int item, int channel, int count) {
        int width = layout.width();
        ScanBlock.toLanes(s.weight().address() + 4L * channel * width, count, width, 1, f.weight);
        ScanBlock.toVector(s.bias(), channel, count, f.bias);
        long initial = ScanBlock.stateAddress(s.initialState(), layout.state(item, channel));
        ScanBlock.toLanes(initial, count, layout.kept(), 1, f.window);
    }

    /** Copies the inputs of a chunk behind those kept from before. */
    static void fill(ConvArguments s, ConvLayout layout, ConvFrame f, int item, int start, int channel, int count) {
        long from = ScanLayout.address(s.x(), item, start, channel);
        long to = f.window + (long) layout.kept() * BYTES;
        if (count < Lanes.COUNT) {
            Lanes.clear(to, (long) f.steps * Lanes.COUNT);
            Lanes.copy(from, ScanLayout.stride(s.x()), to, BYTES, f.steps, count);
        } else {
            for (int t = 0; t < f.steps; t++) {
                Lanes.copy(from + t * ScanLayout.stride(s.x()), to + (long) t * BYTES, BYTES);
            }
        }
    }

    /** Moves the last K - 1 vectors of a window of K - 1 and {@code steps} to its front. */
    static void keep(ConvLayout layout, long window, int steps) {
        Lanes.copy(window + (long) steps * BYTES, window, (long) layout.kept() * BYTES);
    }
}
