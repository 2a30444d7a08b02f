package org.mamba4j.kernel.vector;

import static org.mamba4j.kernel.vector.Lanes.BYTES;
import static org.mamba4j.kernel.vector.ScanLayout.CHUNK;

import java.util.ArrayList;
import java.util.List;
import org.mamba4j.kernel.ScanArguments;

/**
 * The forward scan, a slice of channels of one batch item at a time.
 *
 * <p>Lanes are adjacent channels: in (B, L, D) their u, delta and z are adjacent too, B_t[n] and C_t[n] are the same for
 * all of them, and y_t sums over n within a lane, so nothing is ever summed across lanes. A block of channels takes one
 * chunk of steps at a time, in {@link ScanPasses passes} small enough for the compiler, with everything between them in the
 * first-level cache. All blocks of a slice take a chunk before any takes the next, so that B and C of the chunk are read
 * once per slice.
 */
final class ScanForward {
    private final ScanArguments s;
    private final ScanLayout layout;
    private final Pass[] passes;

    ScanForward(ScanArguments s, ScanLayout layout) {
        this.s = s;
        this.layout = layout;
        List<Pass> list = new ArrayList<>();
        if (s.softplus()) {
            list.add(ScanPasses::deltaPowers);
            list.add(ScanPasses::softplus);
        } else {
            list.add(ScanPasses::biased);
        }
        list.add(ScanPasses::inputs);
        list.add(ScanPasses::recurrence);
        list.add(ScanPasses::skip);
        if (s.z().isPresent()) {
            list.add(ScanPasses::gatePowers);
            list.add(ScanPasses::gate);
        } else {
            list.add(ScanPasses::noGate);
        }
        passes = list.toArray(new Pass[0]);
    }

    /** Task: one slice of one batch item, all steps. */
    void run(int task) {
        int item = task / layout.slices();
        int slice = task % layout.slices();
        int first = layout.firstBlock(slice);
        int blocks = layout.endBlock(slice) - first;
        int states = layout.states();
        Scratch scratch = Scratch.ofThread(2L * blocks * (states + 1) + 9L * CHUNK);
        ScanFrame f = new ScanFrame(states, scratch.scalars(2 * CHUNK * states));
        long exponents = scratch.take((long) blocks * states);
        long state = scratch.take((long) blocks * states);
        long bias = scratch.take(blocks);
        long skip = scratch.take(blocks);
        f.x = scratch.take(CHUNK);
        f.power = scratch.take(CHUNK);
        f.delta = scratch.take(CHUNK);
        f.input = scratch.take(CHUNK);
        f.y = scratch.take(CHUNK);
        long stagedU = scratch.take(CHUNK);
        long stagedDelta = scratch.take(CHUNK);
        long stagedZ = scratch.take(CHUNK);
        long stagedY = scratch.take(CHUNK);
        long matrix = (long) states * BYTES;
        for (int i = 0; i < blocks; i++) {
            int block = first + i;
            int width = layout.width(block);
            long initial = ScanBlock.stateAddress(s.initialState(), layout.state(item, block));
            ScanBlock.toLanes(initial, width, states, 1, state + i * matrix);
            long a = s.a().address() + layout.state(0, block);
            ScanBlock.toLanes(a, width, states, VectorMath.LOG2_E, exponents + i * matrix);
            ScanBlock.toVector(s.deltaBias(), block * Lanes.COUNT, width, bias + (long) i * BYTES);
            ScanBlock.toVector(s.d(), block * Lanes.COUNT, width, skip + (long) i * BYTES);
        }
        for (int chunk = 0; chunk < layout.chunks(); chunk++) {
            int start = chunk * CHUNK;
            f.steps = Math.min(CHUNK, layout.length() - start);
            ScanBlock.matrices(s, item, start, f.steps, f.matrices);
            for (int i = 0; i < blocks; i++) {
                int block = first + i;
                int width = layout.width(block);
                int channel = block * Lanes.COUNT;
                f.state = state + i * matrix;
                f.exponents = exponents + i * matrix;
                f.bias = bias + (long) i * BYTES;
                f.skip = skip + (long) i * BYTES;
                if (s.checkpoints().byteSize() > 0) {
                    Lanes.copy(f.state, s.checkpoints().address() + layout.checkpoint(item, chunk, block), matrix);
                }
                f.u = ScanBlock.source(s.u(), item, start, f.steps, channel, width, stagedU);
                f.uStride = ScanBlock.stride(s.u(), width);
                f.rawDelta = ScanBlock.source(s.delta(), item, start, f.steps, channel, width, stagedDelta);
                f.rawDeltaStride = ScanBlock.stride(s.delta(), width);
                if (s.z().isPresent()) {
                    f.z = ScanBlock.source(s.z(), item, start, f.steps, channel, width, stagedZ);
                    f.zStride = ScanBlock.stride(s.z(), width);
                }
                f.to = ScanBlock.target(s.y(), item, start, channel, width, stagedY);
                f.toStride = ScanBlock.stride(s.y(), width);
                for (Pass pass : passes) {
                    pass.run(f);
                }
                ScanBlock.deliver(s.y(), item, start, f.steps, channel, width, stagedY);
            }
        }
        for (int i = 0; i < blocks && s.lastState().byteSize() > 0; i++) {
            int block = first + i;
            long last = s.lastState().address() + layout.state(item, block);
            ScanBlock.fromLanes(state + i * matrix, layout.width(block), states, last);
        }
    }
}
