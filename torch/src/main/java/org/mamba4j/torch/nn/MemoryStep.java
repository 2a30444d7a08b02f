package org.mamba4j.torch.nn;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.mamba4j.kernel.Activation;
import org.mamba4j.kernel.DenseKernels;
import org.mamba4j.kernel.Kernels;
import org.mamba4j.kernel.Matrix;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.kernel.WeightFormat;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.torch.Tensors;

/**
 * What {@link Memory} makes of one token within a chunk on the CPU, on core's kernels. A step of generation is some
 * sixty operations of libtorch in a layer's memory, each of which costs more to call than to compute; here it is ten calls
 * into Java. The same formulas, so the same values but for rounding.
 *
 * <p>Weights are read where libtorch has them. Room for what lies between is kept for each thread.
 */
final class MemoryStep {
    private final MemMambaConfig config;
    private final int layer;
    private final Parameters parameters;
    private final DenseKernels dense = Kernels.dense();
    private final ThreadLocal<Room> rooms;

    MemoryStep(MemMambaConfig config, Parameters parameters, int layer) {
        this.config = config;
        this.layer = layer;
        this.parameters = parameters;
        this.rooms = ThreadLocal.withInitial(Room::new);
    }

    /** Weights of one way of reading; {@code from} says whose notes. */
    private record Read(
            Matrix query,
            MemorySegment key,
            Matrix value,
            MemorySegment nothing,
            Matrix gate,
            MemorySegment gateBias,
            List<Integer> from) {}

    /** Weights and what lies between the operations. */
    private final class Room {
        private final Arena arena = Arena.ofAuto();
        private final String name = "backbone.layers." + layer + ".memory.";
        private final MemorySegment norm = data(name + "norm.weight");
        private final Matrix scoreIn = matrix(name + "score_in.weight");
        private final MemorySegment scoreInBias = data(name + "score_in.bias");
        private final Matrix scoreOut = matrix(name + "score_out.weight");
        private final MemorySegment scoreOutBias = data(name + "score_out.bias");
        private final MemorySegment threshold = data(name + "threshold");
        private final Matrix summary = matrix(name + "summary.weight");
        private final MemorySegment summaryBias = data(name + "summary.bias");
        private final List<Read> reads = new ArrayList<>();
        private final Rows u = rows(arena, 1, config.dModel());
        private final Rows hidden = rows(arena, 1, config.scorerSize());
        private final Rows score = rows(arena, 1, 1);
        private final Rows s = rows(arena, 1, config.memory().summarySize());
        private final Rows queried = rows(arena, 1, config.memory().summarySize());
        private final Rows q = rows(arena, 1, config.memory().summarySize());
        private final Rows read = rows(arena, 1, config.memory().summarySize());
        private final Rows missed = rows(arena, 1, 1);
        private final Rows gate = rows(arena, 1, 1);
        private final Rows value = rows(arena, 1, config.dModel());
        private final List<Table> tables = new ArrayList<>();

        Room() {
            if (config.memory().crossToken()) {
                reads.add(read(name + "token.", List.of(layer)));
            }
            if (config.readsBelow(layer)) {
                reads.add(read(name + "layer.", config.layersBelow(layer)));
            }
            reads.forEach(way -> way.from().forEach(from -> tables.add(new Table(arena))));
        }

        private Read read(String kind, List<Integer> from) {
            return new Read(
                    matrix(kind + "query.weight"),
                    data(kind + "key.weight"),
                    matrix(kind + "value.weight"),
                    data(kind + "nothing"),
                    matrix(kind + "gate.weight"),
                    data(kind + "gate.bias"),
                    from);
        }
    }

    /** A pool's notes where kernels can read them; they change at the ends of chunks only. */
    private final class Table {
        private final int width = config.memory().summarySize();
        private final Rows summaries;
        private final Rows logGates;
        private final NoteTable notes;
        private float[] held = new float[0];

        Table(Arena arena) {
            summaries = rows(arena, config.memory().greatestPool(), width);
            logGates = rows(arena, 1, config.memory().greatestPool());
            notes = new NoteTable(summaries, logGates);
        }

        @SuppressWarnings("ReferenceEquality") // the same array is what is asked for: equal ones may have other gates
        NoteTable of(LayerNotes pool) {
            // Arrays of notes are never changed, so the same one has the same numbers.
            if (held != pool.summaries()) {
                held = pool.summaries();
                MemorySegment.copy(held, 0, summaries.memory(), JAVA_FLOAT, 0, held.length);
                for (int i = 0; i < pool.held(); i++) {
                    logGates.memory().setAtIndex(JAVA_FLOAT, i, Memory.logGate(pool.importances()[i]));
                }
            }
            notes.setCount(pool.held());
            return notes;
        }
    }

    private Tensor tensor(String tensor) {
        return parameters.get(tensor);
    }

    private MemorySegment data(String tensor) {
        return Tensors.segment(tensor(tensor));
    }

    private Matrix matrix(String tensor) {
        Tensor of = tensor(tensor);
        return new Matrix(Tensors.segment(of), WeightFormat.F32, (int) of.size(0), (int) of.size(1));
    }

    private static Rows rows(Arena arena, int length, int channels) {
        return Rows.dense(arena.allocate(4L * length * channels, 64), 1, length, channels);
    }

    /**
     * @param x the residual stream (1, 1, d), which is not the last token of its chunk
     * @param carry takes over the layer's notes
     * @return x̄ (1, 1, d)
     */
    Tensor forward(Tensor x, Carry carry) {
        Room room = rooms.get();
        int width = config.dModel();
        Tensor result = Tensors.empty(x.scalar_type().intern(), 1, 1, width);
        MemorySegment sum = Tensors.segment(result);
        sum.copyFrom(Tensors.segment(x.contiguous()));
        Rows stream = Rows.dense(sum, 1, 1, width);
        dense.addNorm(stream, Rows.ABSENT, room.norm, (float) config.mamba().normEpsilon(), room.u);
        dense.multiply(room.scoreIn, room.u, room.scoreInBias, room.hidden);
        dense.activate(Activation.SILU, room.hidden);
        dense.multiply(room.scoreOut, room.hidden, room.scoreOutBias, room.score);
        dense.multiply(room.summary, room.u, room.summaryBias, room.s);
        dense.activate(Activation.TANH, room.s);
        note(room, carry);
        int table = 0;
        for (Read way : room.reads) {
            List<NoteTable> notes = new ArrayList<>();
            for (int from : way.from()) {
                notes.add(room.tables.get(table++).of(carry.notes(from)));
            }
            read(room, way, notes, sum);
        }
        return result;
    }

    /** Adds the token to the open chunk. */
    private void note(Room room, Carry carry) {
        float a = room.score.memory().get(JAVA_FLOAT, 0);
        boolean noted = a > room.threshold.get(JAVA_FLOAT, 0);
        float[] summary = room.s.memory().toArray(JAVA_FLOAT);
        LayerNotes before = carry.notes(layer);
        carry.updateNotes(layer, before.with(summary, new float[] {noted ? a : Float.NEGATIVE_INFINITY}));
    }

    private void read(Room room, Read way, List<NoteTable> notes, MemorySegment sum) {
        dense.multiply(way.query, room.u, MemorySegment.NULL, room.queried);
        throughKeys(way.key, room.queried.memory(), room.q.memory());
        float scale = (float) (1 / Math.sqrt(config.memory().summarySize()));
        dense.attend(room.q, notes, scale, way.nothing.get(JAVA_FLOAT, 0), room.read, room.missed);
        dense.multiply(way.value, room.read, MemorySegment.NULL, room.value);
        dense.multiply(way.gate, room.u, way.gateBias, room.gate);
        dense.activate(Activation.SIGMOID, room.gate);
        float gate = room.gate.memory().get(JAVA_FLOAT, 0);
        if (gate > config.memory().readThreshold()) {
            MemorySegment value = room.value.memory();
            for (int i = 0; i < config.dModel(); i++) {
                sum.setAtIndex(JAVA_FLOAT, i, sum.getAtIndex(JAVA_FLOAT, i) + gate * value.getAtIndex(JAVA_FLOAT, i));
            }
        }
    }

    /** q = W_kᵀ queried: notes are read as they are. */
    private void throughKeys(MemorySegment key, MemorySegment queried, MemorySegment q) {
        int width = config.memory().summarySize();
        q.fill((byte) 0);
        for (int k = 0; k < width; k++) {
            float factor = queried.getAtIndex(JAVA_FLOAT, k);
            MemorySegment row = key.asSlice(4L * k * width, 4L * width);
            for (int i = 0; i < width; i++) {
                q.setAtIndex(JAVA_FLOAT, i, q.getAtIndex(JAVA_FLOAT, i) + factor * row.getAtIndex(JAVA_FLOAT, i));
            }
        }
    }
}
