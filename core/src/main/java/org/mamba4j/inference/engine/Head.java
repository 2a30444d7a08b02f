package org.mamba4j.inference.engine;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.mamba4j.inference.LanguageModel.RowConsumer;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.Rows;

/** Makes logits of what the last norm puts out. */
final class Head {
    /** Logits that are computed at once while scoring. */
    private static final int AT_ONCE = 1 << 20;

    private final Matrix weight;
    private final DenseKernels dense;
    private final Pool<Room> rooms;

    /** Room for the logits of some tokens, and for one. */
    private record Room(Rows all, Rows first) {
        static Room of(Rows all) {
            return new Room(all, all.steps(0, 1));
        }
    }

    /**
     * @param weight (V, d)
     * @param arena what the logits' memory is taken from
     */
    Head(Matrix weight, DenseKernels dense, Arena arena) {
        this.weight = weight;
        this.dense = dense;
        int tokens = Math.clamp(AT_ONCE / weight.rows(), 1, JavaLanguageModel.CHUNK);
        rooms = new Pool<>(() -> Room.of(Activations.rows(arena, tokens, weight.rows())));
    }

    /** The logits of {@code hidden} (1, 1, d); allocates nothing once it is warm. */
    void logits(Rows hidden, float[] target) {
        Room room = rooms.take();
        try {
            dense.multiply(weight, hidden, MemorySegment.NULL, room.first());
            MemorySegment.copy(room.all().memory(), ValueLayout.JAVA_FLOAT, 0, target, 0, weight.rows());
        } finally {
            rooms.giveBack(room);
        }
    }

    /** Hands over the logits of {@code hidden} (1, L, d), which belongs to the positions from {@code position} on. */
    void hand(Rows hidden, int position, RowConsumer consumer) {
        Room room = rooms.take();
        try {
            Rows buffer = room.all();
            float[] row = new float[weight.rows()];
            for (int first = 0; first < hidden.length(); first += buffer.length()) {
                Rows some = buffer.steps(0, Math.min(buffer.length(), hidden.length() - first));
                dense.multiply(weight, hidden.steps(first, some.length()), MemorySegment.NULL, some);
                hand(some, position + first, row, consumer);
            }
        } finally {
            rooms.giveBack(room);
        }
    }

    /** Hands over each of {@code rows}, copied to {@code row}. */
    static void hand(Rows rows, int position, float[] row, RowConsumer consumer) {
        for (int i = 0; i < rows.length(); i++) {
            long at = Float.BYTES * (rows.offset() + i * rows.rowStride());
            MemorySegment.copy(rows.memory(), ValueLayout.JAVA_FLOAT, at, row, 0, row.length);
            consumer.accept(position + i, row);
        }
    }
}
