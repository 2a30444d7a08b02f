package org.mamba4j.inference.engine;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.mamba4j.inference.State;
import org.mamba4j.inference.StateFile;
import org.mamba4j.inference.StateSnapshot;
import org.mamba4j.kernel.NoteTable;
import org.mamba4j.kernel.Rows;
import org.mamba4j.model.MemMambaConfig;
import org.mamba4j.model.TensorSpec;

/**
 * What a sequence leaves behind, in one piece of native memory, and beside it what a step needs: activations of one token
 * and the kernels' arguments, made once because making them allocates.
 */
final class JavaState implements State {
    /** Of everything that vectors are read from, in bytes. */
    static final long ALIGNMENT = 64;

    private static final String LAST_HIDDEN = "last_hidden";

    /** Frees the memory of states that nobody closed and nobody can reach. */
    private static final Cleaner CLEANER = Cleaner.create();

    private final JavaLanguageModel model;
    private final Arena arena = Arena.ofShared();
    private final Cleaner.Cleanable memoryOwner = CLEANER.register(this, arena::close);
    private final MemorySegment memory;
    private final SequencedMap<String, MemorySegment> tensors = new LinkedHashMap<>();
    private final Activations step;
    private final Rows timeStep;
    private final List<Layer.Sequence> sequences = new ArrayList<>();
    private final Rows hidden;
    private final List<NotePool> pools = new ArrayList<>();
    private final List<List<MemoryLayer.Notes>> notes = new ArrayList<>();
    private final MemoryActivations memoryStep;
    private long tokensSeen;
    private boolean closed;

    /** A state that has seen nothing. */
    JavaState(JavaLanguageModel model) {
        this.model = model;
        Map<TensorSpec, Long> places = new LinkedHashMap<>();
        long bytes = 0;
        for (TensorSpec spec : model.config().stateTensors()) {
            places.put(spec, bytes);
            long size = Float.BYTES * spec.shape().elements();
            bytes += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        memory = arena.allocate(bytes, ALIGNMENT);
        places.forEach((spec, at) -> tensors.put(
                spec.name(), memory.asSlice(at, Float.BYTES * spec.shape().elements())));
        hidden = Rows.dense(tensor(LAST_HIDDEN), 1, 1, model.config().dModel());
        step = Activations.allocate(model.mamba(), 1, arena);
        timeStep = step.selection().columns(0, model.mamba().dtRank());
        for (int i = 0; i < model.layers().size(); i++) {
            sequences.add(sequence(i, step));
        }
        memoryStep = model.memoryActivations(1, arena);
        addPools();
        for (int i = 0; i < model.layers().size(); i++) {
            notes.add(notes(i, memoryStep));
        }
    }

    private void addPools() {
        if (model.config() instanceof MemMambaConfig config) {
            for (int i = 0; i < config.nLayer(); i++) {
                if (config.takesNotes(i)) {
                    Rows gates = Activations.rows(arena, 1, config.memory().greatestPool());
                    pools.add(new NotePool(config.memory(), "layers." + i + ".memory.", this, gates));
                }
            }
        }
    }

    /** What the memory of layer {@code number}, if it has one, needs for a pass over {@code m}: one, or none. */
    List<MemoryLayer.Notes> notes(int number, MemoryActivations m) {
        if (!(model.config() instanceof MemMambaConfig config) || !config.takesNotes(number)) {
            return List.of();
        }
        int first = config.memory().firstLayer() - 1; // layers from there on take notes
        List<NoteTable> lower = config.layersBelow(number).stream()
                .map(layer -> pools.get(layer - first).table())
                .toList();
        String name = "layers." + number + ".memory.";
        MemorySegment none = MemorySegment.NULL;
        return List.of(model.memories()
                .get(number)
                .getFirst()
                .notes(
                        pools.get(number - first),
                        lower,
                        m,
                        tensors.getOrDefault(name + "token.conv", none),
                        tensors.getOrDefault(name + "layer.conv", none)));
    }

    /** The same for one token over {@link #memoryStep}. */
    List<MemoryLayer.Notes> stepNotes(int number) {
        return notes.get(number);
    }

    /** Activations of the memories for one token. */
    MemoryActivations memoryStep() {
        return memoryStep;
    }

    /** The arguments of layer {@code number} for a pass over {@code at} that begins and ends here. */
    Layer.Sequence sequence(int number, Activations at) {
        String layer = "layers." + number + ".";
        return model.layers().get(number).sequence(at, tensor(layer + "conv"), tensor(layer + "ssm"));
    }

    /** The arguments of layer {@code number} for one token over {@link #step}. */
    Layer.Sequence stepSequence(int number) {
        return sequences.get(number);
    }

    /** Activations of one token. */
    Activations step() {
        return step;
    }

    /** The first columns of the step's selection. */
    Rows stepTimeStep() {
        return timeStep;
    }

    /** What the head reads (1, 1, d). */
    Rows hidden() {
        return hidden;
    }

    /** Makes the last row of {@code all} (1, L, d) {@link #hidden}. */
    void keepHidden(Rows all) {
        MemorySegment.copy(
                all.memory(),
                Float.BYTES * all.rowStride() * (all.length() - 1),
                hidden.memory(),
                0,
                hidden.memory().byteSize());
    }

    /** The memory of the tensor that {@link org.mamba4j.model.ModelConfig#stateTensors} calls {@code name}. */
    MemorySegment tensor(String name) {
        MemorySegment tensor = tensors.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException("the state has no tensor " + name);
        }
        return tensor;
    }

    /** Whether it was made by a model with these weights; a closed one is refused. */
    boolean isOf(JavaLanguageModel other) {
        if (closed) {
            throw new IllegalStateException("the state is closed");
        }
        return model == other || model.fingerprint().equals(other.fingerprint());
    }

    /** Ends a pass over {@code count} tokens, which did not go beyond the open chunk. */
    void advance(int count) {
        tokensSeen += count;
        for (int i = 0; i < pools.size(); i++) {
            pools.get(i).commitAt(tokensSeen);
        }
    }

    @Override
    public long tokensSeen() {
        return tokensSeen;
    }

    @Override
    public long sizeInBytes() {
        return model.config().stateBytes();
    }

    @Override
    public JavaState copy() {
        isOf(model);
        try {
            JavaState copy = new JavaState(model);
            copy.memory.copyFrom(memory);
            copy.restore("a copy of a state", tokensSeen);
            return copy;
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void reset() {
        isOf(model);
        memory.fill((byte) 0);
        pools.forEach(NotePool::clear);
        tokensSeen = 0;
    }

    @Override
    public void save(Path file) {
        isOf(model);
        SequencedMap<String, float[]> values = new LinkedHashMap<>();
        try {
            tensors.forEach((name, tensor) -> values.put(name, tensor.toArray(ValueLayout.JAVA_FLOAT)));
        } finally {
            Reference.reachabilityFence(this);
        }
        StateFile.write(file, model.config(), model.fingerprint(), new StateSnapshot(tokensSeen, values));
    }

    /** Takes over what {@link #save} wrote, here or in another engine. */
    void load(Path file) {
        StateSnapshot snapshot = StateFile.read(file, model.config(), model.fingerprint());
        tensors.forEach((name, tensor) -> tensor.copyFrom(MemorySegment.ofArray(snapshot.tensor(name))));
        restore(file.toString(), snapshot.tokensSeen());
    }

    private void restore(String source, long tokens) {
        tokensSeen = tokens;
        pools.forEach(pool -> pool.restore(source, tokens));
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            memoryOwner.clean();
        }
    }
}
