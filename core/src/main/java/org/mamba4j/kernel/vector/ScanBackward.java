package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.BYTES;
import static org.mamba4j.kernel.vector.ScanLayout.CHUNK;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.ScanArguments;
import org.mamba4j.kernel.ScanGradients;
import org.mamba4j.kernel.Workers;

/**
 * The backward scan, cut as {@link ScanForward} is, chunks from the last to the first.
 *
 * <p>For a chunk the states are computed again from its checkpoint and kept, with the decays; then the gradient dh of the
 * state runs from the last step to the first. B and C are shared by all channels, so their gradients are sums over
 * channels: first lane by lane over the blocks of the slice, then, once per chunk and slice, over the lanes, into partial
 * sums per slice, which are added in the order of slices at the end. Gradients of A, D and the bias are sums over the
 * batch, added in the order of items. No sum depends on which thread did what when.
 */
final class ScanBackward {
    private final ScanArguments s;
    private final ScanGradients g;
    private final ScanLayout layout;
    private final Pass[] passes;
    private final long matricesPartial;
    private final long channelsPartial;

    /** {@code partials} has room for {@link #partialFloats}. */
    private ScanBackward(ScanArguments s, ScanGradients g, ScanLayout layout, long partials) {
        this.s = s;
        this.g = g;
        this.layout = layout;
        this.matricesPartial = partials;
        this.channelsPartial = partials + 8L * layout.batch() * layout.slices() * matrixFloats(layout);
        List<Pass> list = new ArrayList<>();
        if (s.softplus()) {
            list.add(ScanPasses::deltaPowers);
            list.add(ScanPasses::softplus);
            list.add(ScanBackwardPasses::slopes);
        } else {
            list.add(ScanPasses::biased);
            list.add(ScanBackwardPasses::noSlopes);
        }
        list.add(ScanPasses::inputs);
        list.add(ScanBackwardPasses::recompute);
        list.add(ScanPasses::skip);
        if (s.z().isPresent()) {
            list.add(ScanPasses::gatePowers);
            list.add(ScanBackwardPasses::gateSigmoids);
            list.add(ScanBackwardPasses::ungate);
            list.add(ScanBackwardPasses::gateGradients);
        } else {
            list.add(ScanBackwardPasses::noUngate);
        }
        list.add(ScanBackwardPasses::reverse);
        list.add(ScanBackwardPasses::collect);
        list.add(ScanBackwardPasses::inputGradients);
        passes = list.toArray(new Pass[0]);
    }

    static void run(ScanArguments s, ScanGradients g, ScanLayout layout, Workers workers) {
        try (Arena arena = Arena.ofConfined()) {
            long partials =
                    arena.allocate(4 * Math.max(1, partialFloats(layout)), 64).address();
            ScanBackward backward = new ScanBackward(s, g, layout, partials);
            workers.run(layout.tasks(), backward::run);
            workers.run(layout.batch(), backward::sumMatrices);
            backward.sumChannels();
        }
    }

    /** For B or C of one item and one slice. */
    private static long matrixFloats(ScanLayout layout) {
        return (long) layout.length() * layout.states();
    }

    /** For A, D and the bias of one item. */
    private static long channelFloats(ScanLayout layout) {
        return (long) layout.channels() * (layout.states() + 2);
    }

    private static long partialFloats(ScanLayout layout) {
        return layout.batch() * (2L * layout.slices() * matrixFloats(layout) + channelFloats(layout));
    }

    /** Partial sums of B ({@code which} 0) or C (1) of a task: (L, N). */
    private long matrixPartial(int item, int which, int slice) {
        return matricesPartial + 4 * (((long) item * 2 + which) * layout.slices() + slice) * matrixFloats(layout);
    }

    /** Task: one slice of one batch item, all steps. */
    private void run(int task) {
        int item = task / layout.slices();
        int slice = task % layout.slices();
        int first = layout.firstBlock(slice);
        int blocks = layout.endBlock(slice) - first;
        int states = layout.states();
        long matrix = (long) states * BYTES;
        Scratch scratch =
                Scratch.ofThread(3L * blocks * states + 4L * blocks + (4L * CHUNK + 2) * states + 17L * CHUNK);
        ScanFrame f = new ScanFrame(states, scratch.scalars(2 * CHUNK * states));
        long exponents = scratch.take((long) blocks * states);
        long dState = scratch.take((long) blocks * states);
        long dA = scratch.take((long) blocks * states);
        long bias = scratch.take(blocks);
        long skip = scratch.take(blocks);
        long dBias = scratch.take(blocks);
        long dSkip = scratch.take(blocks);
        f.decays = scratch.take((long) CHUNK * states);
        f.states1 = scratch.take((CHUNK + 1L) * states);
        f.dB = scratch.take((long) CHUNK * states);
        f.dC = scratch.take((long) CHUNK * states);
        f.dAOfChunk = scratch.take(states);
        f.power = scratch.take(CHUNK);
        f.delta = scratch.take(CHUNK);
        f.slope = scratch.take(CHUNK);
        f.input = scratch.take(CHUNK);
        f.y = scratch.take(CHUNK);
        f.sigmoid = scratch.take(CHUNK);
        f.dy = scratch.take(CHUNK);
        f.dInput = scratch.take(CHUNK);
        f.dExponent = scratch.take(CHUNK);
        long x = scratch.take(CHUNK);
        long stagedU = scratch.take(CHUNK);
        long stagedDelta = scratch.take(CHUNK);
        long stagedZ = scratch.take(CHUNK);
        long stagedGradY = scratch.take(CHUNK);
        long stagedGradU = scratch.take(CHUNK);
        long stagedGradDelta = scratch.take(CHUNK);
        long stagedGradZ = scratch.take(CHUNK);
        Lanes.clear(f.dAOfChunk, (long) states * Lanes.COUNT);
        Lanes.clear(dA, (long) blocks * states * Lanes.COUNT);
        Lanes.clear(dBias, (long) blocks * Lanes.COUNT);
        Lanes.clear(dSkip, (long) blocks * Lanes.COUNT);
        for (int i = 0; i < blocks; i++) {
            int block = first + i;
            int width = layout.width(block);
            long last = ScanBlock.stateAddress(g.lastState(), layout.state(item, block));
            ScanBlock.toLanes(last, width, states, 1, dState + i * matrix);
            long a = s.a().address() + layout.state(0, block);
            ScanBlock.toLanes(a, width, states, VectorMath.LOG2_E, exponents + i * matrix);
            ScanBlock.toVector(s.deltaBias(), block * Lanes.COUNT, width, bias + (long) i * BYTES);
            ScanBlock.toVector(s.d(), block * Lanes.COUNT, width, skip + (long) i * BYTES);
        }
        for (int chunk = layout.chunks() - 1; chunk >= 0; chunk--) {
            int start = chunk * CHUNK;
            int steps = Math.min(CHUNK, layout.length() - start);
            ScanBlock.matrices(s, item, start, steps, f.matrices);
            Lanes.clear(f.dB, (long) steps * states * Lanes.COUNT);
            Lanes.clear(f.dC, (long) steps * states * Lanes.COUNT);
            f.steps = steps;
            f.x = x;
            for (int i = 0; i < blocks; i++) {
                int block = first + i;
                int width = layout.width(block);
                int channel = block * Lanes.COUNT;
                Lanes.copy(s.checkpoints().address() + layout.checkpoint(item, chunk, block), f.states1, matrix);
                f.dState = dState + i * matrix;
                f.exponents = exponents + i * matrix;
                f.dA = dA + i * matrix;
                f.bias = bias + (long) i * BYTES;
                f.skip = skip + (long) i * BYTES;
                f.dBias = dBias + (long) i * BYTES;
                f.dSkip = dSkip + (long) i * BYTES;
                f.u = ScanBlock.source(s.u(), item, start, steps, channel, width, stagedU);
                f.uStride = ScanBlock.stride(s.u(), width);
                f.rawDelta = ScanBlock.source(s.delta(), item, start, steps, channel, width, stagedDelta);
                f.rawDeltaStride = ScanBlock.stride(s.delta(), width);
                f.gradY = ScanBlock.source(g.y(), item, start, steps, channel, width, stagedGradY);
                f.gradYStride = ScanBlock.stride(g.y(), width);
                if (s.z().isPresent()) {
                    f.z = ScanBlock.source(s.z(), item, start, steps, channel, width, stagedZ);
                    f.zStride = ScanBlock.stride(s.z(), width);
                }
                f.toU = ScanBlock.target(g.u(), item, start, channel, width, stagedGradU);
                f.toUStride = ScanBlock.stride(g.u(), width);
                f.toDelta = ScanBlock.target(g.delta(), item, start, channel, width, stagedGradDelta);
                f.toDeltaStride = ScanBlock.stride(g.delta(), width);
                f.toZ = ScanBlock.target(g.z(), item, start, channel, width, stagedGradZ);
                f.toZStride = ScanBlock.stride(g.z(), width);
                for (Pass pass : passes) {
                    pass.run(f);
                }
                ScanBlock.deliver(g.u(), item, start, steps, channel, width, stagedGradU);
                ScanBlock.deliver(g.delta(), item, start, steps, channel, width, stagedGradDelta);
                ScanBlock.deliver(g.z(), item, start, steps, channel, width, stagedGradZ);
            }
            sumLanes(f, f.dB, steps * states, matrixPartial(item, 0, slice) + 4L * start * states);
            sumLanes(f, f.dC, steps * states, matrixPartial(item, 1, slice) + 4L * start * states);
        }
        for (int i = 0; i < blocks; i++) {
            int block = first + i;
            int width = layout.width(block);
            if (g.initialState().byteSize() > 0) {
                long to = g.initialState().address() + layout.state(item, block);
                ScanBlock.fromLanes(dState + i * matrix, width, states, to);
            }
            long sums = channelsPartial + 4L * item * channelFloats(layout);
            ScanBlock.fromLanes(dA + i * matrix, width, states, sums + layout.state(0, block));
            sums += 4L * layout.channels() * states + 4L * block * Lanes.COUNT;
            ScanBlock.fromLanes(dSkip + (long) i * BYTES, width, 1, sums);
            ScanBlock.fromLanes(dBias + (long) i * BYTES, width, 1, sums + 4L * layout.channels());
        }
    }

    private static void sumLanes(ScanFrame f, long from, int vectors, long to) {
        f.x = from;
        f.to = to;
        f.steps = vectors;
        Pass sum = ScanBackwardPasses::sumLanes;
        sum.run(f);
    }

    /** Task: gradients of B and C of one batch item, from the partial sums of its slices. */
    private void sumMatrices(int item) {
        sumMatrix(g.b(), item, 0);
        sumMatrix(g.c(), item, 1);
    }

    private void sumMatrix(Rows to, int item, int which) {
        if (!to.isPresent()) {
            return;
        }
        int states = layout.states();
        for (int t = 0; t < layout.length(); t++) {
            long row = ScanLayout.address(to, item, t, 0);
            for (int n = 0; n < states; n++) {
                float sum = 0;
                for (int slice = 0; slice < layout.slices(); slice++) {
                    sum += Lanes.get(matrixPartial(item, which, slice) + 4L * ((long) t * states + n));
                }
                Lanes.put(row + 4L * n, sum);
            }
        }
    }

    /** Gradients of A, D and the bias, from the partial sums of the batch items. */
    private void sumChannels() {
        long matrix = (long) layout.channels() * layout.states();
        sumItems(g.a(), 0);
        sumItems(g.d(), matrix);
        sumItems(g.deltaBias(), matrix + layout.channels());
    }

    private void sumItems(MemorySegment to, long offset) {
        long count = to.byteSize() / Float.BYTES;
        for (long i = 0; i < count; i++) {
            float sum = 0;
            for (int item = 0; item < layout.batch(); item++) {
                sum += Lanes.get(channelsPartial + 4 * (item * channelFloats(layout) + offset + i));
            }
            Lanes.put(to.address() + 4 * i, sum);
        }
    }
}
