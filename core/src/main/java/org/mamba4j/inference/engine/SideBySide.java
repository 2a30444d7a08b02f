package org.mamba4j.inference.engine;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.SequenceKernels;

/**
 * One token in each of several states. A single step takes the time of reading all weights once, so the products, which
 * read them, are taken of the rows of all states together; convolution, scan and memory belong to a state and work in its
 * own buffers, into and out of which a row is copied. As a row of a product does not depend on the others, the numbers are
 * those of one state after the other, to the last bit.
 *
 * @param memories of each layer one, or none
 */
record SideBySide(List<Layer> layers, List<List<MemoryLayer>> memories, Layer.Kernels kernels) {
    /**
     * Reads the tokens whose embeddings are {@code at.x}, one in each state. What is left to be added to the residual
     * stream is in {@code at.out}.
     *
     * @param at of as many tokens as there are states
     * @param timeStep the first columns of {@code at.selection}
     */
    void step(List<JavaState> states, Activations at, Rows timeStep) {
        SequenceKernels sequence = kernels.sequence();
        Rows added = Rows.ABSENT;
        for (int number = 0; number < layers.size(); number++) {
            added = memories.get(number).isEmpty() ? added : remember(number, states, at, added);
            Layer layer = layers.get(number);
            layer.enter(at, added, kernels.dense());
            for (int i = 0; i < states.size(); i++) {
                Activations own = states.get(i).step();
                copy(at.inner(), i, own.inner(), 0);
                sequence.convForward(states.get(i).stepSequence(number).conv());
                copy(own.conv(), 0, at.conv(), i);
            }
            layer.select(at, timeStep, kernels.dense());
            for (int i = 0; i < states.size(); i++) {
                Activations own = states.get(i).step();
                copy(at.selection(), i, own.selection(), 0);
                copy(at.delta(), i, own.delta(), 0);
                sequence.scanForward(states.get(i).stepSequence(number).scan());
                copy(own.y(), 0, at.y(), i);
            }
            layer.leave(at, kernels.dense());
            added = at.out();
        }
    }

    /** What each state's memory takes and reads before the mixer of layer {@code number}; what is then still to be added. */
    private Rows remember(int number, List<JavaState> states, Activations at, Rows added) {
        MemoryLayer memory = memories.get(number).getFirst();
        Rows read = Rows.ABSENT;
        for (int i = 0; i < states.size(); i++) {
            JavaState state = states.get(i);
            Activations own = state.step();
            copy(at.x(), i, own.x(), 0);
            if (added.isPresent()) {
                copy(added, i, own.out(), 0);
            }
            Rows before = added.isPresent() ? own.out() : Rows.ABSENT;
            MemoryLayer.Notes notes = state.stepNotes(number).getFirst();
            // Whether a layer reads is the model's, so it is the same for all states.
            read = memory.forward(own, before, state.memoryStep(), notes, state.tokensSeen(), kernels);
            copy(own.x(), 0, at.x(), i);
            if (read.isPresent()) {
                copy(read, 0, at.out(), i);
            }
        }
        return read.isPresent() ? at.out() : Rows.ABSENT;
    }

    /** Copies row {@code i} to row {@code j}; both of batch 1 and contiguous. */
    static void copy(Rows from, int i, Rows to, int j) {
        MemorySegment.copy(
                from.memory(),
                Float.BYTES * (from.offset() + i * from.rowStride()),
                to.memory(),
                Float.BYTES * (to.offset() + j * to.rowStride()),
                (long) Float.BYTES * from.channels());
    }
}
